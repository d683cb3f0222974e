// Bundlers and compilers make one file of a program and the package, and the file runs without the package.

import { join } from "node:path";
import { expect, test } from "vitest";
import { mustRun, run } from "./command.ts";
import { emptyProject, installedProject } from "./project.ts";
import { visit } from "./visitor.ts";

const project = installedProject();
const elsewhere = emptyProject();

test("bun build --compile makes an executable that serves an echo", async () => {
  const executable = join(elsewhere.folder, "server");
  await mustRun(
    ["bun", "build", "--compile", await project.add("server.mjs"), "--outfile", executable],
    project.folder,
  );
  await visit([executable], false);
});

test("esbuild makes one small module that serves an echo under each runtime", async () => {
  const bundle = join(elsewhere.folder, "server.mjs");
  const options = ["--bundle", "--minify", "--platform=node", "--format=esm", `--outfile=${bundle}`];
  const output = await mustRun(["esbuild", await project.add("server.mjs"), ...options], project.folder);
  expect(output).not.toMatch(/warning/i);
  for (const runtime of [["node"], ["deno", "run", "--no-prompt", "--allow-net"], ["bun"]]) {
    await visit([...runtime, bundle], false);
  }
});

test("esbuild makes one CommonJS file of a program that requires the package", async () => {
  const bundle = join(elsewhere.folder, "consumer.cjs");
  const options = ["--bundle", "--platform=node", `--outfile=${bundle}`];
  const output = await mustRun(["esbuild", await project.add("consumer.cjs"), ...options], project.folder);
  expect(output).not.toMatch(/warning/i);
  expect(await run(["node", bundle], elsewhere.folder)).toEqual({ exitCode: 0, output: "hello, kitchen\n" });
});
