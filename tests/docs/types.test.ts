/** The TypeScript of all pages is compiled, against the types of the built package and of the runtime that runs it. */
import { cp, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { run } from "../packages/command.ts";
import { root } from "../support/repository.ts";
import type { Runtime } from "./example.ts";
import { exampleOf } from "./examples.ts";
import type { Block } from "./markdown.ts";
import { blocks } from "./pages.ts";
import { folder, prepareFolder, writeProgram } from "./program.ts";

beforeAll(prepareFolder);

const SUCCESS = { exitCode: 0, output: "" };

/** Writes the programs that a compiler takes together, and gives their paths. */
async function writePrograms(name: string, takes: (runtime: Runtime | undefined) => boolean): Promise<string[]> {
  await rm(join(folder, name), { recursive: true, force: true });
  const programs = blocks.filter((block: Block) => block.language === "ts" && takes(exampleOf(block).runtime));
  expect(programs.length).toBeGreaterThan(0);
  return await Promise.all(programs.map(async (block) => {
    const path = join(folder, name, block.page, `line ${block.line}.ts`);
    await writeProgram(path, block.code, exampleOf(block));
    return path;
  }));
}

/** Compiles the programs of a folder, with the types of a runtime. */
async function compile(name: string, types: string): Promise<unknown> {
  const tsconfig = {
    extends: join(root, "tsconfig.json"),
    compilerOptions: { noUnusedLocals: false, noUnusedParameters: false, types: [types] },
    include: [name],
  };
  const path = join(folder, `tsconfig.${name}.json`);
  await writeFile(path, JSON.stringify(tsconfig));
  return await run(["tsc", "-p", path, "--pretty", "false"], root);
}

test("the TypeScript of all pages has no fault that the compiler finds", async () => {
  await writePrograms("types", (runtime) => runtime === undefined || runtime === "node");
  await cp(join(import.meta.dirname, "uwebsockets.d.ts"), join(folder, "types/uwebsockets.d.ts"));
  expect(await compile("types", "node")).toEqual(SUCCESS);
});

test("the programs for Bun have no fault that the compiler finds with Bun's types", async () => {
  await writePrograms("types-bun", (runtime) => runtime === "bun");
  expect(await compile("types-bun", "bun-types")).toEqual(SUCCESS);
});

test("the programs for Deno have no fault that Deno's own compiler finds", async () => {
  const paths = await writePrograms("types-deno", (runtime) => runtime === "deno");
  // The configuration of the repository excludes the folder of the programs, and Deno would check nothing.
  expect(await run(["deno", "check", "--quiet", "--no-config", ...paths], root)).toEqual(SUCCESS);
});
