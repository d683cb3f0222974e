/** Finds and launches the Chromium of this machine. */

import { existsSync } from "node:fs";
import process from "node:process";
import { type Browser, chromium } from "playwright-core";

const USUAL_PATHS = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

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
export async function launchChromium(): Promise<Browser> {
  return await chromium.launch({ executablePath: findChromium(), args: ARGUMENTS });
}

/**
 * Finds the executable of Chromium.
 *
 * @param chosen the only path to try, if any; default: CHROMIUM_PATH
 * @throws an Error that says how to install Chromium when there is none
 */
export function findChromium(chosen = process.env.CHROMIUM_PATH, usualPaths = USUAL_PATHS): string {
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
