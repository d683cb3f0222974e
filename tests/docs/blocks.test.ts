/** Every block of code of every page is checked by something, or this file says why not. */
import { validate } from "dockerfile-utils";
import { describe, expect, test } from "vitest";
import { parseAllDocuments } from "yaml";
import { mustRun } from "../packages/command.ts";
import { read, root } from "../support/repository.ts";
import { exampleOf, examples } from "./examples.ts";
import type { Block } from "./markdown.ts";
import { blocks } from "./pages.ts";
import { NOT_RUN, notRun, unchecked } from "./unchecked.ts";

const { scripts } = JSON.parse(read("package.json"));

/** The checks of a language, which throw. */
const checks: Record<string, (code: string, block: Block) => unknown> = {
  // types.test.ts and run.test.ts check these.
  ts: () => {},
  js: (_code, block) => expect(exampleOf(block).run).toBeTypeOf("function"),
  // A drawing, or the output of a program.
  text: () => {},
  json: (code) => code.trim().split(/\n(?=[{[])/).forEach((value) => JSON.parse(value)),
  sh: async (code) => {
    await mustRun(["bash", "-n", "-c", code], root);
    for (const [, script] of code.matchAll(/\bnpm run ([\w:]+)/g)) expect(Object.keys(scripts)).toContain(script);
    for (const [, path] of code.matchAll(/\bnode ((?:examples|tests|bench)\/\S+)/g)) expect(read(path!)).not.toBe("");
  },
  yaml: (code) => expect(parseAllDocuments(code).flatMap((document) => [...document.errors])).toEqual([]),
  dockerfile: (code) => expect(validate(code)).toEqual([]),
};

const isUnchecked = ({ page, name }: Block): boolean => unchecked[page]?.[name] !== undefined;

describe("each block of code is checked", () => {
  test.each(blocks.filter((block) => !isUnchecked(block)))("$page, line $line: $name", async (block) => {
    expect(Object.keys(checks)).toContain(block.language);
    await checks[block.language]!(block.code, block);
  });
});

test("the lists of examples and of unchecked blocks have no entry for a block that is gone", () => {
  const stale = [examples, unchecked, notRun].flatMap((list) =>
    Object.entries(list).flatMap(([page, entries]) =>
      Object.keys(entries).filter((name) => !blocks.some((block) => block.page === page && block.name === name))
        .map((name) => `${page}: ${name}`)
    )
  );
  expect(stale).toEqual([]);
});

test("no block could be checked that is listed as one that cannot", () => {
  expect(blocks.filter(isUnchecked).filter(({ language }) => language in checks)).toEqual([]);
});

test("the page of a program that does not run says so", () => {
  const pages = Object.keys(notRun);
  expect(pages.filter((page) => read(page).replaceAll(/\s+/g, " ").split(NOT_RUN).length !== 2)).toEqual([]);
  expect(pages.length).toBeGreaterThan(0);
});
