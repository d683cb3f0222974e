// The npm package contains what it should, has types that resolve, and runs on every runtime.

import { existsSync, globSync, readdirSync, readFileSync } from "node:fs";
import { copyFile, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { parseSync } from "vite";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { fetchNode } from "../runner/runtimes.ts";
import { mustRun, run } from "./command.ts";

const root = join(import.meta.dirname, "../..");
const consumerSource = join(import.meta.dirname, "consumer.ts.txt");

let project: string;
let installed: string;

/**
 * Packs the package and installs it in an empty project. Without a network, a forgotten dependency cannot be fetched.
 */
beforeAll(async () => {
  project = await mkdtemp(join(tmpdir(), "spacenode-package-"));
  installed = join(project, "node_modules/spacenode");
  await mustRun(["npm", "pack", "--pack-destination", project], root);
  const [tarball] = globSync("*.tgz", { cwd: project });
  await writeFile(join(project, "package.json"), JSON.stringify({ private: true, type: "module" }));
  await mustRun(["npm", "install", "--offline", "--no-audit", "--no-fund", `./${tarball}`], project);
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

describe("a project that uses it", () => {
  test.each([
    ["nodenext", "nodenext"],
    ["bundler", "esnext"],
  ])("finds its types with moduleResolution %s", async (moduleResolution, module) => {
    const folder = join(project, moduleResolution);
    await mkdir(folder);
    await copyFile(consumerSource, join(folder, "consumer.ts"));
    const compilerOptions = {
      ...{
        module,
        moduleResolution,
        target: "es2023",
        lib: ["es2023", "esnext.disposable"],
        strict: true,
        noEmit: true,
      },
      ...{ types: ["node"], typeRoots: [join(root, "node_modules/@types")], skipLibCheck: false },
    };
    await writeFile(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions }));
    expect(await run(["tsc", "-p", folder], project)).toEqual({ exitCode: 0, output: "" });
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
