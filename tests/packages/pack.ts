/** Packs the package once for all files of tests, as `npm publish` would. */

import { globSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestProject } from "vitest/node";
import { mustRun } from "./command.ts";

declare module "vitest" {
  interface ProvidedContext {
    /** The path of the file that npm would publish. */
    tarball: string;
  }
}

export default async function pack({ provide }: TestProject): Promise<() => Promise<void>> {
  const folder = await mkdtemp(join(tmpdir(), "spacenode-tarball-"));
  await mustRun(["npm", "pack", "--pack-destination", folder], join(import.meta.dirname, "../.."));
  provide("tarball", join(folder, globSync("*.tgz", { cwd: folder })[0]!));
  return () => rm(folder, { recursive: true });
}
