/** One Chromium for all tests of a file. */

import type { Browser } from "playwright-core";
import { afterAll, beforeAll } from "vitest";
import { type ChromiumKind, launchChromium } from "./chromium.ts";

/** Launches a browser before the tests of the file, and closes it after them. */
export function sharedBrowser(kind: ChromiumKind): () => Browser {
  let browser: Browser | undefined;
  beforeAll(async () => {
    browser = await launchChromium(kind);
  });
  afterAll(async () => await browser?.close());
  return () => browser!;
}
