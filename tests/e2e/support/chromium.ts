/** Finds and launches the Chromium of this machine. */

import { existsSync } from "node:fs";
import process from "node:process";
import { type Browser, chromium } from "playwright-core";

/**
 * "browser" is Chromium with its user interface, as people have it: for tests of WebSockets. "shell" is Chromium's
 * headless shell, which has the same engine and no user interface: for tests of pages. A page opens there in a third
 * of the CPU time. Where there is no shell, the browser takes its place.
 */
export type ChromiumKind = "browser" | "shell";

const BROWSER_PATHS = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
const USUAL_PATHS: Readonly<Record<ChromiumKind, readonly string[]>> = {
  browser: BROWSER_PATHS,
  shell: ["/usr/bin/chromium-headless-shell", ...BROWSER_PATHS],
};

const ARGUMENTS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** Launches Chromium without a window. */
export async function launchChromium(kind: ChromiumKind): Promise<Browser> {
  const executablePath = findChromium(process.env.CHROMIUM_PATH, USUAL_PATHS[kind]);
  return await chromium.launch({ executablePath, args: ARGUMENTS });
}

/**
 * Finds the executable of Chromium.
 *
 * @param chosen the only path to try, if any
 * @throws an Error that says how to install Chromium when there is none
 */
export function findChromium(chosen: string | undefined, usualPaths: readonly string[]): string {
  const paths = chosen === undefined ? usualPaths : [chosen];
  const found = paths.find((path) => existsSync(path));
  if (found === undefined) {
    throw new Error(
      `These tests need Chromium, and there is none at ${paths.join(", ")}. ` +
        "Install it (on Debian: apt-get install chromium) or set CHROMIUM_PATH to its executable.",
    );
  }
  return found;
}
