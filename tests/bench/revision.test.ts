/** Another revision as the base of a comparison: a folder of its own, which is gone when the bench ends in any way. */
import { existsSync } from "node:fs";
import { expect, test } from "vitest";
import { findRuntime } from "../../bench/shared/machine.ts";
import { checkOut } from "../../bench/shared/revision.ts";
import { Program } from "../support/program.ts";

const node = findRuntime("node")!.command;
const revisionFile = new URL("../../bench/shared/revision.ts", import.meta.url);

/**
 * A program that checks out HEAD, prints the folder, and then ends as `ending` says. It runs under Node like the bench,
 * whichever runtime is measured.
 */
function checkingOut(ending: string): Program {
  const text = `
    import { checkOut } from "${revisionFile}";
    console.log("in " + checkOut("HEAD").folder.pathname);
    ${ending}
  `;
  return Program.command([...node, "--input-type=module", "-e", text]);
}

test.each([
  ["by itself", "", 0],
  ["with an error", "throw new Error('on purpose');", 1],
  ["with an exit code", "process.exit(2);", 2],
])("the folder of a revision is removed when the process ends %s", async (_name, ending, code) => {
  const program = checkingOut(ending);
  const [, folder] = await program.line(/^in (.+)$/);
  expect(folder).toContain("spacenode-bench-");
  expect(await program.exited).toMatchObject({ code });
  expect(existsSync(folder)).toBe(false);
});

test.each([["SIGINT", 130], ["SIGTERM", 143]] as const)("and by %s", async (signal, code) => {
  const program = checkingOut("setInterval(() => {}, 1_000);");
  const [, folder] = await program.line(/^in (.+)$/);
  expect(existsSync(`${folder}mod.ts`) && existsSync(`${folder}src/app/app.ts`)).toBe(true);
  expect(existsSync(`${folder}revision.tar`)).toBe(false);
  program.kill(signal);
  expect(await program.exited).toMatchObject({ code });
  expect(existsSync(folder)).toBe(false);
});

test.each(["no-such-revision", "", "--output=/tmp/a", "HEAD:mod.ts"])(
  "refuses %j, and says what it got",
  (revision) => {
    expect(() => checkOut(revision)).toThrow(
      new Error(
        `expected a revision that git knows here, such as main or HEAD~1; got ${revision}`,
      ),
    );
  },
);
