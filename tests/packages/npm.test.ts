// The npm package contains what it should, has types that resolve, and runs on every runtime.

import { existsSync, globSync, readdirSync, readFileSync } from "node:fs";
import { copyFile, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { parseSync } from "vite";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { fetchNode, fetchTypeScript } from "../runner/runtimes.ts";
import { type CommandResult, mustRun, run } from "./command.ts";

const root = join(import.meta.dirname, "../..");
const consumerSource = join(import.meta.dirname, "consumer.ts.txt");

let project: string;
let tarball: string;
let installed: string;

/**
 * Packs the package and installs it in an empty project. Without a network, a forgotten dependency cannot be fetched.
 */
beforeAll(async () => {
  project = await mkdtemp(join(tmpdir(), "spacenode-package-"));
  installed = join(project, "node_modules/spacenode");
  await mustRun(["npm", "pack", "--pack-destination", project], root);
  tarball = join(project, globSync("*.tgz", { cwd: project })[0]!);
  await writeFile(join(project, "package.json"), JSON.stringify({ private: true, type: "module" }));
  await mustRun(["npm", "install", "--offline", "--no-audit", "--no-fund", tarball], project);
});

afterAll(() => rm(project, { recursive: true, force: true }));

/** Returns the imports of a built file, except those of node:. */
function importsOf(path: string): string[] {
  const { module } = parseSync(path, readFileSync(join(installed, path), "utf8"));
  const specifiers = [
    ...module.staticImports.map((statement) => statement.moduleRequest.value),
    ...module.staticExports.flatMap(({ entries }) => entries.flatMap((entry) => entry.moduleRequest?.value ?? [])),
  ];
  return specifiers.filter((specifier) => !specifier.startsWith("node:"));
}

describe("the package", () => {
  test("contains the built code, its types and the documents, and nothing else", () => {
    const files = globSync("**/*.*", { cwd: installed });
    expect(files).toEqual(expect.arrayContaining(["package.json", "README.md", "dist/mod.js", "dist/mod.d.ts"]));
    expect(existsSync(join(installed, "LICENSE"))).toBe(true);
    const wanted = /^(package\.json|README\.md|LICENSE|CHANGELOG\.md|SECURITY\.md|dist\/(mod|src\/.+)\.(js|d\.ts))$/;
    expect(files.filter((path) => !wanted.test(path))).toEqual([]);
  });

  test("has no fault that publint knows", async () => {
    const { exitCode, output } = await run(["publint", "--strict", tarball], root);
    expect([exitCode, output]).toEqual([0, expect.stringContaining("All good!")]);
  });

  test("installs no other package", () => {
    const visible = readdirSync(join(project, "node_modules")).filter((name) => !name.startsWith("."));
    expect(visible).toEqual(["spacenode"]);
  });

  test("has a declaration beside each module, and every import in both leads to a file", () => {
    const modules = globSync("dist/**/*.js", { cwd: installed });
    const declarations = modules.map((path) => path.replace(/\.js$/, ".d.ts"));
    const missing = [...modules, ...declarations].flatMap((path) =>
      importsOf(path)
        // TypeScript leaves the source's .ts in the imports of declarations, and reads it as .d.ts.
        .map((specifier) =>
          join(dirname(path), path.endsWith(".d.ts") ? specifier.replace(/\.ts$/, ".d.ts") : specifier)
        )
        .filter((target) => !existsSync(join(installed, target)))
        .map((target) => `${path} imports ${target}`)
    );
    expect(modules.length).toBeGreaterThan(1);
    expect(missing).toEqual([]);
  });
});

/** Makes a folder in the project with a program that uses the package, and returns the path of the folder. */
async function folderWithProgram(name: string): Promise<string> {
  const folder = join(project, name);
  await mkdir(folder);
  await copyFile(consumerSource, join(folder, "consumer.ts"));
  return folder;
}

/** Installs the types of node in a folder of the project, from those of the repository. */
async function installTypesOfNode(folder: string): Promise<void> {
  await mkdir(join(folder, "node_modules/@types"), { recursive: true });
  await symlink(join(root, "node_modules/@types/node"), join(folder, "node_modules/@types/node"));
}

/** Compiles the program of a folder with the defaults of the compiler, except for these options. */
async function compile(compiler: string, folder: string, options: object): Promise<CommandResult> {
  const defaults = { target: "es2023", lib: ["es2023", "esnext.disposable"], strict: true, noEmit: true };
  await writeFile(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions: { ...defaults, ...options } }));
  return await run([compiler, "-p", folder], project);
}

const nodenext = { module: "nodenext", moduleResolution: "nodenext" };
const bundler = { module: "esnext", moduleResolution: "bundler" };

/** The options of projects. Older compilers are slow, and compile the first two only. */
const choices: [name: string, options: object][] = [
  ["moduleResolution nodenext", { ...nodenext, skipLibCheck: true }],
  ["moduleResolution bundler, without skipLibCheck", { ...bundler, skipLibCheck: false }],
  ["moduleResolution nodenext, without skipLibCheck", { ...nodenext, skipLibCheck: false }],
  ["moduleResolution bundler", { ...bundler, skipLibCheck: true }],
  ["types of its own choice", { ...nodenext, skipLibCheck: false, types: ["node"] }],
];

describe.each([
  // This version takes the types of each package in node_modules/@types by itself. Later ones take none.
  { version: "5.9", compiler: () => fetchTypeScript("5.9"), choices: choices.slice(0, 2) },
  { version: "6", compiler: () => fetchTypeScript("6"), choices: choices.slice(0, 2) },
  { version: "7", compiler: () => "tsc", choices },
])("with TypeScript $version,", ({ version, compiler, choices }) => {
  test.each(choices)("a project that has the types of node finds all types: %s", async (name, options) => {
    const folder = await folderWithProgram(`TypeScript ${version}, ${name}`);
    await installTypesOfNode(folder);
    expect(await compile(compiler(), folder, options)).toEqual({ exitCode: 0, output: "" });
  });

  test("a project that lacks the types of node is told so", async () => {
    const folder = await folderWithProgram(`TypeScript ${version}, no types of node`);
    const { exitCode, output } = await compile(compiler(), folder, nodenext);
    expect(exitCode).not.toBe(0);
    expect(output).toContain("mod.d.ts(1,23): error TS2688: Cannot find type definition file for 'node'.");
  });
});

describe("a project that uses it", () => {
  test("finds its types under Deno, which has the types of node itself", async () => {
    const folder = await folderWithProgram("deno");
    const { exitCode, output } = await run(["deno", "check", "consumer.ts"], folder);
    expect([exitCode, output]).toEqual([0, expect.stringMatching(/^Check .*consumer\.ts\n$/)]);
  });

  test.each<[string, () => string[]]>([
    ["Node 22", () => [fetchNode("22")]],
    ["Node 24", () => [fetchNode("24")]],
    ["Node 26", () => ["node"]],
    ["Deno", () => ["deno", "run", "--allow-all"]],
    ["Bun", () => ["bun"]],
  ])("serves an echo under %s", async (_name, runtime) => {
    await copyFile(consumerSource, join(project, "consumer.ts"));
    expect(await run([...runtime(), "consumer.ts"], project)).toEqual({ exitCode: 0, output: "kitchen: hello!\n" });
  });
});
