// The inputs that runs guided by coverage have found: each reached something that no input before it had reached.

import { readdirSync } from "node:fs";
import { expect, test } from "vitest";
import { CORPUS, readCorpus } from "./corpus.ts";
import * as targets from "./targets.ts";

test.each(Object.entries<targets.Target>(targets))("the corpus of %s", async (name, target) => {
  const inputs = readCorpus(name);
  for (const input of inputs) await target(input);
  expect(inputs.length).toBeGreaterThan(1);
});

test("every corpus has a target", () => {
  expect(readdirSync(CORPUS).sort()).toEqual(Object.keys(targets).map((name) => `${name}.txt`).sort());
});
