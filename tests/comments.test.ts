/** Comments wrap at 120 columns in every file that a person wrote, and every source file has a comment at its head. */
import { describe, expect, test } from "vitest";
import { parseScript, read, repositoryFiles } from "./support/repository.ts";

const MAX_COLUMNS = 120;

/** From the first character of a comment to behind its last one. */
type Range = readonly [start: number, end: number];

const isScript = (path: string): boolean => /\.(ts|js|mjs)$/.test(path);
const isSource = (path: string): boolean => path === "mod.ts" || /^src\/.*\.ts$/.test(path);

/** Patterns of comments for the kinds of files that have no parser here. Text in quotes may look like a comment. */
const otherComments: [name: RegExp, comment: RegExp][] = [
  [/\.css$/, /\/\*[^]*?\*\//g],
  [/\.(html|md|svg)$/, /<!--[^]*?-->/g],
  [/(\.(editorconfig|gitignore|npmrc|py|sh|ya?ml)|^\.ci\/run)$/, /(?<=^|\s)#.*/gm],
];

function commentsOf(path: string, text: string): Range[] {
  if (isScript(path)) return parseScript(path, text).comments.map(({ start, end }) => [start, end]);
  const comment = otherComments.find(([name]) => name.test(path))?.[1];
  return comment === undefined
    ? []
    : [...text.matchAll(comment)].map(({ 0: found, index }) => [index, index + found.length]);
}

/** A line of one long word, such as an address, cannot be wrapped; neither can a directive to a tool. */
function canWrap(comment: string): boolean {
  const words = comment.replace(/^[\s/*#<!-]+/, "");
  return /\S\s+\S/.test(words) && !/^(deno-lint-ignore|@ts-)/.test(words);
}

/** The lines of comments that are longer than 120 columns, indentation and code in front of them included. */
function longComments(path: string, text = read(path)): string[] {
  return commentsOf(path, text).flatMap(([start, end]) => {
    const lineStart = text.lastIndexOf("\n", start - 1) + 1;
    const lines = text.slice(lineStart, end).split("\n");
    const firstNumber = text.slice(0, lineStart).split("\n").length;
    return lines.flatMap((line, i) => {
      const columns = [...line].length;
      const comment = i === 0 ? line.slice(start - lineStart) : line;
      return columns > MAX_COLUMNS && canWrap(comment) ? [`${path}:${firstNumber + i} has ${columns} columns`] : [];
    });
  });
}

/** True when a file begins with a comment, or has one directly in front of the first statement behind its imports. */
function hasHead(path: string, text = read(path)): boolean {
  const { program, comments } = parseScript(path, text);
  const first = program.body[0];
  const declaration = program.body.find(({ type }) => type !== "ImportDeclaration");
  return comments.some(({ start, end, value }) => {
    if (!/\w/.test(value) || /^\s*(deno-lint-ignore|@ts-)/.test(value)) return false;
    const isOnTop = text.slice(0, start).trim() === "" && (first === undefined || end <= first.start);
    const isInFront = declaration !== undefined && end <= declaration.start &&
      /^[ \t]*\r?\n?[ \t]*$/.test(text.slice(end, declaration.start));
    return isOnTop || isInFront;
  });
}

// The results of the benches are written by programs. The prose of Markdown is left out, because `deno fmt` wraps it.
const files = repositoryFiles().filter((path) => !path.startsWith("bench/results/"));

test("comments wrap at 120 columns", () => {
  expect(files.flatMap((path) => longComments(path))).toEqual([]);
});

test("every source file has a comment at its head", () => {
  expect(files.filter((path) => isSource(path) && !hasHead(path))).toEqual([]);
});

describe("what these checks find", () => {
  const long = "word ".repeat(30).trim();
  const short = "word ".repeat(20).trim();
  const address = `https://example.com/${"path/".repeat(30)}`;

  test.each([
    ["a line comment", "a.ts", `// ${long}`, 1],
    ["a comment behind code", "a.ts", `const a = "${"a".repeat(100)}"; // the name of it`, 1],
    ["the third line of a block", "a.ts", `/*\n * ${short}\n * ${long}\n */`, 1],
    ["each long line of a block", "a.mjs", `/**\n * ${long}\n * ${long}\n */`, 2],
    ["a comment in a function", "a.js", `function a() {\n  // ${short} ${short}\n}`, 1],
    ["a comment in a type", "a.ts", `interface A {\n  /** ${long} */\n  b: string;\n}`, 1],
    ["text behind an address", "a.ts", `// ${address} says so`, 1],
    ["a comment of a style sheet", "a.css", `a {\n  /* ${long} */\n}`, 1],
    ["a comment of a page", "a.html", `<!-- ${short}\n${long} -->`, 1],
    ["a comment of a workflow", ".github/workflows/a.yml", `on: push # ${long}`, 1],
    ["a comment of the gate", ".ci/run", `#!/bin/sh\n# ${long}`, 1],
    ["a comment of a Python program", "a.py", `# ${long}`, 1],
  ])("%s", (_name, path, text, count) => {
    expect(longComments(path, text)).toHaveLength(count);
  });

  test.each([
    ["a comment of 120 columns", "a.ts", `// ${"a ".repeat(58)}a`],
    ["a long address", "a.ts", `/**\n * ${address}\n */`],
    ["a directive", "a.ts", `// deno-lint-ignore no-explicit-any -- ${long}`],
    ["a string with slashes", "a.ts", `const a = "// ${long}";`],
    ["a long line of code in front of a comment", "a.ts", `const a = "${long}";\n// short`],
    ["characters outside the BMP", "a.ts", `// ${"😀 ".repeat(50)}`],
    ["a file of another kind", "a.json", `{ "a": "// ${long}" }`],
  ])("not %s", (_name, path, text) => {
    expect(longComments(path, text)).toEqual([]);
  });

  test.each<[name: string, isHead: boolean, text: string]>([
    ["no comment", false, "export const a = 1;"],
    ["the comment of the second declaration", false, "export const a = 1;\n\n/** Letter. */\nexport const b = 1;"],
    ["a comment that stands apart", false, 'import "./b.ts";\n\n// All is fast.\n\nexport const a = 1;'],
    ["a comment between imports", false, 'import "./b.ts";\n// Letter.\nimport "./c.ts";\nexport const a = 1;'],
    ["a directive", false, "// deno-lint-ignore-file\nexport const a = 1;"],
    ["a line without words", false, "// ------\nexport const a = 1;"],
    ["a comment inside the first declaration", false, "export const a = { /* Letter. */ };"],
    ["a block above the imports", true, '/** Letters. */\nimport "./b.ts";\n\nexport const a = 1;'],
    ["lines above the imports", true, '// Letters,\n// all of them.\n\nimport "./b.ts";\n\nexport const a = 1;'],
    ["the JSDoc of the first declaration", true, 'import "./b.ts";\n\n/** Letter. */\nexport const a = 1;'],
    ["nothing but a comment", true, "// Empty on purpose."],
  ])("as a head, %s: %j", (_name, isHead, text) => {
    expect(hasHead("src/a.ts", text)).toBe(isHead);
  });
});
