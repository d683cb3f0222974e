/** Another revision of this repository in a temporary folder, as the base of a comparison. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { pathToFileURL } from "node:url";
import { root } from "./machine.ts";

/** A checkout that SpaceNode is measured from. */
export interface Checkout {
  folder: URL;
  commit: string;
}

const SIGNALS = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 };

function git(...args: string[]): string {
  return execFileSync("git", args, { cwd: root, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
}

function commitOf(revision: string): string {
  try {
    return git("rev-parse", "--verify", "--short", "--end-of-options", `${revision}^{commit}`);
  } catch {
    throw new Error(`expected a revision that git knows here, such as main or HEAD~1; got ${revision}`);
  }
}

/**
 * Writes the files of a revision into a temporary folder. The folder is removed when the process ends: by itself, with
 * an error, with `process.exit`, or by Ctrl+C.
 *
 * @throws Error that names the revision, when git does not know it
 */
export function checkOut(revision: string): Checkout {
  const commit = commitOf(revision);
  const folder = mkdtempSync(join(tmpdir(), "spacenode-bench-"));
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
  for (const [signal, exitCode] of Object.entries(SIGNALS)) process.once(signal, () => process.exit(exitCode));
  // An archive leaves nothing behind in the repository, as a worktree does whose folder is lost.
  const archive = join(folder, "revision.tar");
  git("archive", "--format=tar", `--output=${archive}`, commit);
  execFileSync("tar", ["-x", "-f", archive, "-C", folder]);
  rmSync(archive);
  return { folder: pathToFileURL(`${folder}/`), commit };
}
