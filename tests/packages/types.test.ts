// The types of the npm package are found by TypeScript 5.9, 6 and 7 and by Deno.

import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { fetchTypeScript } from "../runner/runtimes.ts";
import { type CommandResult, mustRun, run } from "./command.ts";
import { installedProject } from "./project.ts";
import { longProgram } from "./quick-start.ts";

const project = installedProject();

/** Compiles the programs of a folder with the defaults of the compiler, except for these options. */
async function compile(compiler: string, folder: string, options: object): Promise<CommandResult> {
  const defaults = { target: "es2023", lib: ["es2023", "dom", "esnext.disposable"], strict: true, noEmit: true };
  const path = join(project.folder, folder, "tsconfig.json");
  await writeFile(path, JSON.stringify({ compilerOptions: { ...defaults, ...options } }));
  return await run([compiler, "-p", path], project.folder);
}

const nodenext = { module: "nodenext", moduleResolution: "nodenext" };
const bundler = { module: "esnext", moduleResolution: "bundler" };
const strictest = { exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true, isolatedModules: true };

/** The options of projects. Older compilers are slow, and compile the first two only. */
const choices: [name: string, options: object][] = [
  ["moduleResolution nodenext", { ...nodenext, skipLibCheck: false }],
  ["moduleResolution bundler", { ...bundler, skipLibCheck: false }],
  ["moduleResolution nodenext, with skipLibCheck", { ...nodenext, skipLibCheck: true }],
  ["moduleResolution bundler, with skipLibCheck", { ...bundler, skipLibCheck: true }],
  ["types of its own choice", { ...nodenext, skipLibCheck: false, types: ["node"] }],
  ["stricter options than strict", { ...nodenext, skipLibCheck: false, ...strictest }],
];

describe.each([
  // This version takes the types of each package in node_modules/@types by itself. Later ones take none.
  { version: "5.9", choices: choices.slice(0, 2) },
  { version: "6", choices: choices.slice(0, 2) },
  { version: "7", choices },
])("with TypeScript $version,", ({ version, choices }) => {
  let compiler: string;
  beforeAll(() => {
    compiler = version === "7" ? "tsc" : fetchTypeScript(version);
  });

  test.concurrent.for(choices)(
    "a project that has the types of node finds all types: %s",
    async (choice, { expect }) => {
      const [name, options] = choice;
      const folder = `TypeScript ${version}, ${name}`;
      await project.add("consumer.ts", folder);
      // Only a compiler that follows Node knows that `require` can load an ES module.
      if (name.includes("nodenext")) await project.add("consumer.cts", folder);
      await project.addTypesOfNode(folder);
      expect(await compile(compiler, folder, options)).toEqual({ exitCode: 0, output: "" });
    },
  );

  test.concurrent("a project as tsc --init makes it takes the README's programs as they are", async ({ expect }) => {
    const folder = `TypeScript ${version}, tsc --init`;
    await project.addTypesOfNode(folder);
    const path = join(project.folder, folder);
    await mustRun([compiler, "--init"], path);
    await writeFile(join(path, "server.ts"), longProgram);
    expect(await run([compiler, "--noEmit"], path)).toEqual({ exitCode: 0, output: "" });
  });

  test.concurrent.for(choices.slice(0, 2))(
    "a project that lacks the types of node finds all types of the client: %s",
    async (choice, { expect }) => {
      const [name, options] = choice;
      const folder = `TypeScript ${version}, client, ${name}`;
      await project.add("client.ts", folder);
      expect(await compile(compiler, folder, options)).toEqual({ exitCode: 0, output: "" });
    },
  );

  test.concurrent("a project that lacks the types of node is told so", async ({ expect }) => {
    const folder = `TypeScript ${version}, no types of node`;
    await project.add("consumer.ts", folder);
    const { exitCode, output } = await compile(compiler, folder, nodenext);
    expect(exitCode).not.toBe(0);
    expect(output).toContain("mod.d.ts(1,23): error TS2688: Cannot find type definition file for 'node'.");
  });
});

test("skipLibCheck hides that the types of node are missing, as docs/troubleshooting.md says", async () => {
  await project.add("consumer.ts", "hidden");
  const { output } = await compile("tsc", "hidden", { ...nodenext, skipLibCheck: true });
  expect(output).toContain("error TS2339: Property 'headers' does not exist on type 'AppRequest<");
  expect(output.trimEnd().split("\n")).toHaveLength(1);
});

test.each(["consumer", "client"])("Deno, which has the types of node itself, finds all types: %s.ts", async (name) => {
  await project.add(`${name}.ts`, "deno");
  const { exitCode, output } = await run(["deno", "check", `deno/${name}.ts`], project.folder);
  expect([exitCode, output]).toEqual([0, expect.stringMatching(new RegExp(`^Check .*${name}\\.ts\n$`))]);
});
