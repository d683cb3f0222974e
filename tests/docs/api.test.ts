/** The API reference that `npm run docs:api` makes has a page for each public name. */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { mustRun } from "../packages/command.ts";
import { parseScript, read, root } from "../support/repository.ts";

beforeAll(async () => {
  // As in a fresh clone: deno makes the last folder of a path, and no folder above it.
  await rm(join(root, ".api"), { recursive: true, force: true });
  await mustRun(["npm", "run", "--silent", "docs:api"], root);
});

test.each([
  ["mod.ts", "createApp"],
  ["src/client/client.ts", "connect"],
])("the API reference has every name that %s exports", (path, example) => {
  const names = parseScript(path).module.staticExports.flatMap(({ entries }) =>
    entries.map(({ exportName }) => exportName.name!)
  );
  expect(names).toContain(example);
  const reference = read(".api/all_symbols.html");
  expect(names.filter((name) => !reference.includes(`>${name}<`))).toEqual([]);
});
