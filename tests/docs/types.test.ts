/** The TypeScript of all pages is compiled at once, against the types of the built package. */
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { run } from "../packages/command.ts";
import { root } from "../support/repository.ts";
import { exampleOf } from "./examples.ts";
import { blocks } from "./pages.ts";
import { folder, prepareFolder, writeProgram } from "./program.ts";

test("the TypeScript of all pages has no fault that the compiler finds", async () => {
  await prepareFolder();
  await rm(join(folder, "types"), { recursive: true, force: true });
  const programs = blocks.filter(({ language }) => language === "ts");
  for (const block of programs) {
    const path = join(folder, "types", block.page, `line ${block.line}.ts`);
    await writeProgram(path, block.code, exampleOf(block));
  }
  const tsconfig = {
    extends: join(root, "tsconfig.json"),
    compilerOptions: { noUnusedLocals: false, noUnusedParameters: false, types: ["node"] },
    include: ["types"],
  };
  await writeFile(join(folder, "tsconfig.json"), JSON.stringify(tsconfig));
  expect(await run(["tsc", "-p", folder, "--pretty", "false"], root)).toEqual({ exitCode: 0, output: "" });
  expect(programs.length).toBeGreaterThan(0);
});
