/** The description of the architecture names every file of the source, and only files and functions that exist. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { parseScript, read, repositoryFiles, root } from "./support/repository.ts";
import { isNode, type Node, nodesIn } from "./support/source-files.ts";

const page = read("docs/architecture.md");
const sources = repositoryFiles().filter((path) => /^src\/.*\.ts$/.test(path)).map((path) => path.slice("src/".length));

/** What the page may name: the functions of a file, and the methods of its classes and interfaces. */
interface Declarations {
  /** `name` of functions and methods, and `Owner.name` of methods. */
  readonly callable: Set<string>;
  readonly exported: Set<string>;
}

function nameOf(node: unknown): string {
  return isNode(node) ? String(node.name) : "";
}

function readDeclarations(path: string): Declarations {
  const found: Declarations = { callable: new Set(), exported: new Set() };
  const visit = (node: Node, owner: string): void => {
    if (node.type === "FunctionDeclaration") found.callable.add(nameOf(node.id));
    if (node.type === "MethodDefinition" || node.type === "TSMethodSignature") {
      found.callable.add(nameOf(node.key)).add(`${owner}.${nameOf(node.key)}`);
    }
    if (node.type === "ExportNamedDeclaration" && isNode(node.declaration)) {
      const declared = (node.declaration.declarations ?? [node.declaration]) as Node[];
      for (const { id } of declared) found.exported.add(nameOf(id));
    }
    const isOwner = node.type === "ClassDeclaration" || node.type === "TSInterfaceDeclaration";
    for (const child of Object.values(node).flatMap(nodesIn)) visit(child, isOwner ? nameOf(node.id) : owner);
  };
  visit(parseScript(path).program as unknown as Node, "");
  return found;
}

/** The lines of a section, from its heading to the next one of the same rank. */
function section(text: string, heading: string): string {
  const parts = text.split(/^(?=## )/m);
  return parts.find((part) => part.startsWith(`## ${heading}\n`)) ?? "";
}

/** Paragraphs, items of lists and rows of tables; blocks of code are left out. */
function blocksOf(text: string): string[] {
  return text.replace(/^```[^]*?^```/gm, "").split(/\n\s*\n|\n(?=\s*(?:[-|]|\d+\.) )/);
}

function pathOf(name: string): string {
  return /^(bench|docs|src|tests)\/|^mod\.ts$/.test(name) ? name : `src/${name}`;
}

/** The files and folders that a page names and that do not exist, and the functions that their file does not have. */
function unknownNames(text: string): string[] {
  return blocksOf(text).flatMap((block) => {
    let file = "";
    return [...block.matchAll(/`([^`]+)`/g)].flatMap(([, name]) => {
      if (/^[\w.-]+(\/[\w.-]+)*(\.ts|\/)$/.test(name!)) {
        if (!existsSync(join(root, pathOf(name!)))) return [name!];
        if (name!.endsWith(".ts")) file = name!;
      } else if (/^(\w+\.)?\w+\(\)$/.test(name!)) {
        const isKnown = file !== "" && readDeclarations(pathOf(file)).callable.has(name!.slice(0, -2));
        if (!isKnown) return [`${name} in ${file === "" ? "no file" : file}`];
      }
      return [];
    });
  });
}

/** The files of the source that the page does not list exactly once, with a description. */
function unlistedFiles(text: string, files = sources): string[] {
  const listed = [...section(text, "Every file").matchAll(/^- `([^`]+)`: \S/gm)].map(([, name]) => name);
  return files.filter((path) => listed.filter((name) => name === path).length !== 1);
}

test("the page lists every file of src once", () => {
  expect(sources.length).toBeGreaterThan(0);
  expect(unlistedFiles(page)).toEqual([]);
});

test("the files, folders and functions that the page names exist", () => {
  expect(unknownNames(page)).toEqual([]);
});

test("the page says what every export of platform.ts is for", () => {
  const { exported } = readDeclarations(pathOf("platform.ts"));
  const rows = [...section(page, "Runtimes and hidden contracts").matchAll(/^\| `(\w+)`/gm)].map(([, name]) => name);
  expect(rows.toSorted()).toEqual([...exported].toSorted());
});

test("a file that the page does not list would be found", () => {
  expect(unlistedFiles(page, [...sources, "protocol/new.ts"])).toEqual(["protocol/new.ts"]);
  expect(unlistedFiles(page.replace("- `protocol/mask.ts`:", "- `protocol/masks.ts`:"))).toEqual(["protocol/mask.ts"]);
});

test.each([
  ["`protocol/masks.ts`: unmasks", "protocol/masks.ts"],
  ["`tests/conformance/5.9-none.test.ts`", "tests/conformance/5.9-none.test.ts"],
  ["the folder `app/rooms/`", "app/rooms/"],
  ["`protocol/mask.ts`: `unmaskAll()`", "unmaskAll() in protocol/mask.ts"],
  ["`transport/connection.ts`: `Outbox.send()`", "Outbox.send() in transport/connection.ts"],
  ["- `protocol/mask.ts`: `unmask()`\n- then `unmask()`", "unmask() in no file"],
])("in a page, `%s` would be found", (text, name) => {
  expect(unknownNames(text)).toEqual([name]);
});
