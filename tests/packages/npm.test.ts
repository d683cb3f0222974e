// The npm package contains what it should, and the judges of packages find no fault in it.

import { existsSync, globSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { parseSync } from "vite";
import { expect, inject, test } from "vitest";
import { run } from "./command.ts";
import { installedProject, root } from "./project.ts";

const project = installedProject();

/** Returns the imports of a built file, except those of node:. */
function importsOf(path: string): string[] {
  const { module } = parseSync(path, readFileSync(join(project.installed, path), "utf8"));
  const specifiers = [
    ...module.staticImports.map((statement) => statement.moduleRequest.value),
    ...module.staticExports.flatMap(({ entries }) => entries.flatMap((entry) => entry.moduleRequest?.value ?? [])),
  ];
  return specifiers.filter((specifier) => !specifier.startsWith("node:"));
}

test("contains the built code, its types and the papers, and nothing else", () => {
  const files = globSync("**/*.*", { cwd: project.installed });
  const papers = ["README.md", "CHANGELOG.md", "SECURITY.md", ...globSync("docs/**/*.*", { cwd: root })];
  expect(files).toEqual(expect.arrayContaining(["package.json", "dist/mod.js", "dist/mod.d.ts", ...papers]));
  expect(existsSync(join(project.installed, "LICENSE"))).toBe(true);
  const built = /^dist\/(mod|src\/.+)\.(js|d\.ts)$/;
  expect(files.filter((path) => !built.test(path) && !papers.includes(path))).toEqual(["package.json"]);
});

test("has no module that the source lacks", () => {
  const sources = ["mod.ts", ...globSync("src/**/*.ts", { cwd: root })];
  const modules = globSync("dist/**/*.js", { cwd: project.installed });
  expect(modules.sort()).toEqual(sources.map((path) => `dist/${path.replace(/\.ts$/, ".js")}`).sort());
});

test("has no fault that publint knows", async () => {
  const { exitCode, output } = await run(["publint", "--strict", inject("tarball")], root);
  expect([exitCode, output]).toEqual([0, expect.stringContaining("All good!")]);
});

test("has types that every resolution of TypeScript finds, as are-the-types-wrong says", async () => {
  // The tool tells that `require` gets an ES module. Every Node that the package supports can load one so.
  const command = ["attw", inject("tarball"), "--format", "table-flipped", "--ignore-rules", "cjs-resolves-to-esm"];
  const { exitCode, output } = await run(command, root);
  expect([exitCode, output]).toEqual([0, expect.stringContaining("No problems found")]);
});

test("names itself as npm does in the examples of its comments, which editors show", () => {
  const texts = globSync("dist/**/*.{js,d.ts}", { cwd: project.installed })
    .map((path) => readFileSync(join(project.installed, path), "utf8"));
  expect(texts.filter((text) => text.includes("@spacenode/"))).toEqual([]);
  expect(texts.join("\n").match(/^ *\* import \{[^}]+\} from "spacenode";$/gm)!.length).toBeGreaterThan(20);
});

test("installs no other package", () => {
  const visible = readdirSync(join(project.folder, "node_modules")).filter((name) => !name.startsWith("."));
  expect(visible).toEqual(["spacenode"]);
});

test("has a declaration beside each module, and every import in both leads to a file", () => {
  const modules = globSync("dist/**/*.js", { cwd: project.installed });
  const declarations = modules.map((path) => path.replace(/\.js$/, ".d.ts"));
  const missing = [...modules, ...declarations].flatMap((path) =>
    importsOf(path)
      // TypeScript leaves the source's .ts in the imports of declarations, and reads it as .d.ts.
      .map((specifier) => join(dirname(path), path.endsWith(".d.ts") ? specifier.replace(/\.ts$/, ".d.ts") : specifier))
      .filter((target) => !existsSync(join(project.installed, target)))
      .map((target) => `${path} imports ${target}`)
  );
  expect(modules.length).toBeGreaterThan(1);
  expect(missing).toEqual([]);
});
