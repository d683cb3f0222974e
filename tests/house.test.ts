import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, posix, relative, sep } from "node:path";
import { parseSync } from "vite";
import { expect, test } from "vitest";

const root = join(import.meta.dirname, "..");
const read = (path: string): string => readFileSync(join(root, path), "utf8");

/** The layers of the source, and what each may import besides itself. Arrows point down and never turn back. */
const layers: Record<string, { files: RegExp; imports: string[] }> = {
  mod: { files: /^mod\.ts$/, imports: ["app", "brokers", "transport", "protocol"] },
  brokers: { files: /^src\/brokers\//, imports: ["app"] },
  app: { files: /^src\/app\//, imports: ["transport", "platform", "protocol"] },
  transport: { files: /^src\/transport\//, imports: ["platform", "protocol"] },
  platform: { files: /^src\/platform\.ts$/, imports: ["protocol"] },
  protocol: { files: /^src\/protocol\//, imports: [] },
};

/** What would tie the protocol to a runtime, to time or to the outside world. */
const impureGlobals = new Set(
  ["Buffer", "process", "global", "globalThis", "console", "require", "performance", "fetch", "Date", "WebSocket"]
    .concat(["setTimeout", "setInterval", "setImmediate", "queueMicrotask", "crypto", "Bun", "Deno"]),
);

/** How a file would find out which runtime it is on. */
const runtimeNames = new Set(
  ["Bun", "Deno", "globalThis", "navigator", "process.release", "process.version", "process.versions"],
);

interface SourceFile {
  path: string;
  /** The module specifiers of all static, dynamic and type imports and of re-exports. */
  imports: string[];
  /** The names the file refers to; property names are left out. */
  names: Set<string>;
  /** Accesses such as `process.versions`. */
  members: Set<string>;
  /** The kinds of its top-level statements. */
  statements: string[];
}

type Node = { type: string } & Record<string, unknown>;

function isNode(value: unknown): value is Node {
  return typeof value === "object" && value !== null && typeof (value as Node).type === "string";
}

function parse(path: string, text = read(path)): SourceFile {
  const { program, errors } = parseSync(path, text);
  if (errors.length > 0) throw new Error(`${path}: ${errors[0]!.message}`);
  const file: SourceFile = { path, imports: [], names: new Set(), members: new Set(), statements: [] };
  let importedFrom = "";
  const visit = (node: Node): void => {
    if (isNode(node.source)) {
      importedFrom = node.source.value as string;
      file.imports.push(importedFrom);
    }
    if (node.type === "ImportSpecifier" && /^(node:)?process$/.test(importedFrom)) {
      file.members.add(`process.${(node.imported as Node).name}`);
    }
    if (node.type === "Identifier") file.names.add(node.name as string);
    if (node.type === "MemberExpression" && isNode(node.object) && isNode(node.property)) {
      file.members.add(`${node.object.name}.${node.property.name ?? node.property.value}`);
    }
    for (const [key, child] of Object.entries(node)) {
      const isPropertyName = (key === "property" || key === "key") && node.computed === false &&
        node.shorthand !== true;
      if (isPropertyName) continue;
      for (const item of Array.isArray(child) ? child : [child]) if (isNode(item)) visit(item);
    }
  };
  for (const statement of program.body as unknown as Node[]) {
    const isLocalExport = statement.type === "ExportNamedDeclaration" && statement.source === null;
    file.statements.push(isLocalExport ? "local export" : statement.type);
    visit(statement);
  }
  return file;
}

function layerOf(path: string): string | undefined {
  return Object.keys(layers).find((name) => layers[name]!.files.test(path));
}

/** All files of the repository that a person wrote, with forward slashes. */
function repositoryFiles(folder = root): string[] {
  const notOurs = new Set([".git", ".vitest", "dist", "node_modules"]);
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    if (notOurs.has(entry.name)) return [];
    const path = join(folder, entry.name);
    return entry.isDirectory() ? repositoryFiles(path) : [relative(root, path).replaceAll(sep, "/")];
  });
}

/** What breaks the rules of the house in one file, in words; nothing when all is well. */
function violations(file: SourceFile): string[] {
  const layer = layerOf(file.path);
  if (layer === undefined) return ["belongs to no layer"];
  const found: string[] = [];
  for (const specifier of file.imports) {
    const isRelative = /^\.\.?\//.test(specifier);
    const target = isRelative ? layerOf(posix.join(dirname(file.path), specifier)) : undefined;
    if (!isRelative && !specifier.startsWith("node:")) found.push(`imports the package ${specifier}`);
    else if (!isRelative && layer === "protocol") found.push(`imports ${specifier} into the protocol`);
    else if (isRelative && !specifier.endsWith(".ts")) found.push(`imports ${specifier} without its .ts`);
    else if (isRelative && target !== layer && !layers[layer]!.imports.includes(target!)) {
      found.push(`imports ${specifier}, an arrow from ${layer} to ${target ?? "outside"}`);
    }
  }
  for (const name of file.names) {
    if (layer === "protocol" && impureGlobals.has(name)) found.push(`uses ${name} in the protocol`);
    else if (layer !== "platform" && runtimeNames.has(name)) found.push(`uses ${name} outside platform.ts`);
  }
  for (const member of file.members) {
    if (layer !== "platform" && runtimeNames.has(member)) found.push(`uses ${member} outside platform.ts`);
  }
  const others = file.statements.filter((statement) => statement !== "ExportNamedDeclaration");
  if (layer === "mod" && others.length > 0) found.push(`holds more than named re-exports: ${others.join(", ")}`);
  return found;
}

const files = repositoryFiles();
const sources = files.filter((path) => path === "mod.ts" || /^src\/.*\.ts$/.test(path)).map((path) => parse(path));
const packageJson = JSON.parse(read("package.json"));
const jsrJson = JSON.parse(read("jsr.json"));

test("imports run one way, the protocol is pure, and only platform.ts knows the runtime", () => {
  const broken = sources.map((file) => [file.path, ...violations(file)]).filter((found) => found.length > 1);
  expect(broken).toEqual([]);
});

test("every layer has a file", () => {
  const inhabited = new Set(sources.map((file) => layerOf(file.path)));
  expect(Object.keys(layers).filter((layer) => !inhabited.has(layer))).toEqual([]);
});

test.each([
  ["src/stray.ts", "export const a = 1;", "belongs to no layer"],
  ["src/protocol/a.ts", 'import type { Logger } from "../app/logger.ts";', "from protocol to app"],
  ["src/protocol/a.ts", 'export type Server = import("../transport/server.ts").Server;', "from protocol to transport"],
  ["src/protocol/a.ts", 'import { hash } from "node:crypto";', "imports node:crypto into the protocol"],
  ["src/protocol/a.ts", "export const a = () => Buffer.alloc(1);", "uses Buffer in the protocol"],
  ["src/protocol/a.ts", "setTimeout(() => {}, 1);", "uses setTimeout in the protocol"],
  ["src/transport/a.ts", 'export * from "../app/app.ts";', "from transport to app"],
  ["src/transport/a.ts", 'await import("../../tests/run.ts");', "from transport to outside"],
  ["src/transport/a.ts", 'const isBun = "bun" in process.versions;', "uses process.versions outside platform.ts"],
  ["src/transport/a.ts", 'import { versions } from "node:process";', "uses process.versions outside platform.ts"],
  ["src/transport/a.ts", 'const isDeno = "Deno" in globalThis;', "uses globalThis outside platform.ts"],
  ["src/app/a.ts", 'import { redisBroker } from "../brokers/redis.ts";', "from app to brokers"],
  ["src/app/a.ts", "export const a: Deno.Conn | undefined = undefined;", "uses Deno outside platform.ts"],
  ["src/app/a.ts", 'import { WebSocket } from "ws";', "imports the package ws"],
  ["src/app/a.ts", 'import { Socket } from "./socket";', "without its .ts"],
  ["src/brokers/a.ts", 'import { Opcode } from "../protocol/opcode.ts";', "from brokers to protocol"],
  ["mod.ts", 'export * from "./src/app/app.ts";', "holds more than named re-exports: ExportAllDeclaration"],
  ["mod.ts", "export const a = 1;", "holds more than named re-exports"],
])("in %s, `%s` would be found", (path, text, violation) => {
  expect(violations(parse(path, text)).join()).toContain(violation);
});

test.each([
  ["src/protocol/a.ts", 'import { b } from "./b.ts"; export const a = { process: b.setTimeout };'],
  ["src/transport/a.ts", 'import { b } from "../protocol/b.ts"; import { connect } from "node:net"; connect(b);'],
  ["src/platform.ts", 'export const isDeno = "Deno" in globalThis;'],
  ["mod.ts", 'export { createApp, type App } from "./src/app/app.ts";'],
])("in %s, `%s` is as it should be", (path, text) => {
  expect(violations(parse(path, text))).toEqual([]);
});

test("there is no run-time dependency", () => {
  const kinds = [
    "dependencies",
    "optionalDependencies",
    "peerDependencies",
    "bundleDependencies",
    "bundledDependencies",
  ];
  expect(kinds.filter((kind) => kind in packageJson)).toEqual([]);
});

test("the top level has what a reader, npm and JSR look for", () => {
  const published: string[] = [...packageJson.files, ...jsrJson.publish.include];
  const wanted = new Set(["README.md", "LICENSE", "package-lock.json", ".gitignore", ".ci/run", ...published]);
  wanted.delete("dist");
  const missing = [...wanted].filter((name) => !files.some((path) => path === name || path.startsWith(`${name}/`)));
  expect(missing).toEqual([]);
});

test("package.json, jsr.json and the lock file agree on the version", () => {
  const lock = JSON.parse(read("package-lock.json"));
  expect([jsrJson.version, lock.version, lock.packages[""].version]).toEqual(Array(3).fill(packageJson.version));
});

test("the lock file works with any registry", () => {
  expect(read("package-lock.json")).not.toContain('"resolved"');
});

test("no file names a package registry's host or a place on somebody's machine", () => {
  const elsewhere = [
    /\bregistry\.[a-z0-9-]+\.(com|dev|io|net|org)\b/i,
    /\bnpm\.jsr\.io\b/,
    /(?<![\w.:/$}-])\/(home|mnt|root|Users|work)\/\w/,
  ];
  const found = files.filter((path) => !/\.(png|jpe?g|ico|woff2?)$/.test(path)).flatMap((path) => {
    const text = read(path);
    return elsewhere.filter((pattern) => pattern.test(text)).map((pattern) => `${path}: ${pattern.exec(text)![0]}`);
  });
  expect(found).toEqual([]);
});
