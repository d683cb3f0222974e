import { expect, test } from "vitest";
import { Program } from "../support/program.ts";

test("a signal to a program that has ended by itself is no error", async () => {
  const program = Program.source("console.log('done')");
  await program.line(/^done$/);
  const { code, signal } = await program.exited;
  program.kill("SIGKILL");
  expect([code, signal, await program.exited]).toEqual([0, null, { code, signal }]);
});
