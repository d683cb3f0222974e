// Bundlers and compilers make one file of a program and the package, and the file runs without the package.

import { transform } from "esbuild";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { mustRun, run } from "./command.ts";
import { startEcho } from "./echo.ts";
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

test("esbuild makes one small script for browsers of a program that imports the client", async () => {
  const bundle = join(elsewhere.folder, "client.mjs");
  const options = ["--bundle", "--minify", "--platform=browser", "--target=es2020", `--outfile=${bundle}`];
  const program = await project.add("client.ts");
  const output = await mustRun(["esbuild", program, "--format=esm", ...options], project.folder);
  expect(output).not.toMatch(/warning/i);
  const script = await readFile(bundle, "utf8");
  expect(script).not.toMatch(/\bimport\b|\brequire\b|node:/);
  expect(script.length).toBeLessThan(6_000);
  expect(await run(["node", bundle, await startEcho()], elsewhere.folder)).toEqual({
    exitCode: 0,
    output: "hello 1\n1000\n",
  });
});

test("the file of the client is a script for browsers as it is", async () => {
  const script = await readFile(join(project.installed, "dist/src/client/client.js"), "utf8");
  const { code } = await transform(script, { target: "es2020", minify: true });
  expect(code).not.toMatch(/\bimport\b|\brequire\b|node:/);
  expect(code).toBe((await transform(script, { target: "esnext", minify: true })).code);
});

test("esbuild makes one CommonJS file of a program that requires the package", async () => {
  const bundle = join(elsewhere.folder, "consumer.cjs");
  const options = ["--bundle", "--platform=node", `--outfile=${bundle}`];
  const output = await mustRun(["esbuild", await project.add("consumer.cjs"), ...options], project.folder);
  expect(output).not.toMatch(/warning/i);
  expect(await run(["node", bundle], elsewhere.folder)).toEqual({ exitCode: 0, output: "hello, kitchen\n" });
});
