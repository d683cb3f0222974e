// JSR accepts the package, which contains the source and the documents.

import { join } from "node:path";
import { expect, test } from "vitest";
import { run } from "./command.ts";

const root = join(import.meta.dirname, "../..");

test("JSR would accept the package without a warning, and it contains only the source and the documents", async () => {
  const { exitCode, output } = await run(
    ["deno", "publish", "--dry-run", "--allow-dirty", "--config", "jsr.json"],
    root,
  );
  expect(output).toMatch(/dry run complete/i);
  expect(output).not.toMatch(/warning/i);
  const files = [...output.matchAll(/file:\/\/\S+/g)].map(([url]) => url.slice(`file://${root}/`.length));
  expect(files).toContain("mod.ts");
  const wanted = /^(mod\.ts|src\/.+\.ts|jsr\.json|README\.md|LICENSE|CHANGELOG\.md)$/;
  expect(files.filter((path) => !wanted.test(path))).toEqual([]);
  expect(exitCode).toBe(0);
});
