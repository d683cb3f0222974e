/** The rules that docs/architecture.md explains: who may import whom, what is pure, and where state may be. */
import { describe, expect, test } from "vitest";
import { read, repositoryFiles } from "./support/repository.ts";
import { importCircles, parseSource, type SourceFile } from "./support/source-files.ts";

/** The rooms of the source, and what each may import besides itself. Arrows point down and never turn back. */
const rooms: Record<string, { files: RegExp; imports: string[] }> = {
  mod: { files: /^mod\.ts$/, imports: ["app", "inject", "websocket", "http", "pubsub", "server", "common", "brokers"] },
  client: { files: /^src\/client\//, imports: [] },
  brokers: { files: /^src\/brokers\//, imports: ["pubsub", "common"] },
  app: {
    files: /^src\/app\/[^/]+$/,
    imports: [
      "inject",
      "websocket",
      "http",
      "pubsub",
      "server",
      "common",
      "transport",
      "timers",
      "platform",
      "protocol",
    ],
  },
  inject: { files: /^src\/app\/inject\//, imports: ["websocket", "http", "common", "platform", "protocol"] },
  websocket: {
    files: /^src\/app\/websocket\//,
    imports: ["http", "pubsub", "common", "transport", "deflate", "timers", "protocol"],
  },
  http: { files: /^src\/app\/http\//, imports: ["common", "platform", "protocol"] },
  pubsub: { files: /^src\/app\/pubsub\//, imports: ["common"] },
  server: { files: /^src\/app\/server\//, imports: ["common", "transport", "timers", "platform"] },
  common: { files: /^src\/app\/common\//, imports: [] },
  transport: { files: /^src\/transport\/[^/]+$/, imports: ["deflate", "timers", "platform", "protocol"] },
  deflate: { files: /^src\/transport\/deflate\//, imports: ["timers", "platform", "protocol"] },
  timers: { files: /^src\/transport\/timers\//, imports: ["platform", "protocol"] },
  platform: { files: /^src\/platform\.ts$/, imports: ["protocol"] },
  protocol: { files: /^src\/protocol\//, imports: [] },
};

/** The files that may keep state between connections. Each says at its head what it keeps, and who resets that. */
const filesWithState = new Set([
  "src/app/server/shared-server.ts",
  "src/app/websocket/event-target.ts",
  "src/platform.ts",
  "src/protocol/headroom.ts",
  "src/protocol/mask.ts",
  "src/transport/deflate/negotiated-deflate.ts",
  "src/transport/lent-text.ts",
  "src/transport/outbox.ts",
]);

/** What would tie the protocol to a runtime, to time or to the outside world. */
const impureGlobals = new Set(
  ["Buffer", "process", "global", "globalThis", "console", "require", "performance", "fetch", "Date", "WebSocket"]
    .concat(["setTimeout", "setInterval", "setImmediate", "queueMicrotask", "crypto", "Bun", "Deno"]),
);

/** How a file would find out which runtime it is on. */
const runtimeNames = new Set(
  ["Bun", "Deno", "globalThis", "navigator", "process.release", "process.version", "process.versions"],
);

function roomOf(path: string): string | undefined {
  return Object.keys(rooms).find((name) => rooms[name]!.files.test(path));
}

/** What breaks the rules of the house in one file, in words; nothing when all is well. */
function violations(file: SourceFile): string[] {
  const room = roomOf(file.path);
  if (room === undefined) return ["belongs to no room"];
  return [...wrongImports(file, room), ...wrongNames(file, room), ...wrongState(file, room)];
}

function wrongImports({ imports }: SourceFile, room: string): string[] {
  const found: string[] = [];
  for (const { specifier, file } of imports) {
    const target = file === undefined ? undefined : roomOf(file);
    if (file === undefined && !specifier.startsWith("node:")) found.push(`imports the package ${specifier}`);
    else if (file === undefined && room === "protocol") found.push(`imports ${specifier} into the protocol`);
    else if (room === "client") found.push(`imports ${specifier} into the client, which a page loads as one file`);
    else if (file !== undefined && !specifier.endsWith(".ts")) found.push(`imports ${specifier} without its .ts`);
    else if (file !== undefined && target !== room && !rooms[room]!.imports.includes(target!)) {
      found.push(`imports ${specifier}, an arrow from ${room} to ${target ?? "outside"}`);
    }
  }
  return found;
}

function wrongNames({ names, members }: SourceFile, room: string): string[] {
  const found: string[] = [];
  for (const name of names) {
    if (room === "protocol" && impureGlobals.has(name)) found.push(`uses ${name} in the protocol`);
    else if (room !== "platform" && runtimeNames.has(name)) found.push(`uses ${name} outside platform.ts`);
  }
  for (const member of members) {
    if (room !== "platform" && runtimeNames.has(member)) found.push(`uses ${member} outside platform.ts`);
  }
  return found;
}

function wrongState({ path, state, head, statements }: SourceFile, room: string): string[] {
  const others = statements.filter((statement) => statement !== "ExportNamedDeclaration");
  if (room === "mod" && others.length > 0) return [`holds more than named re-exports: ${others.join(", ")}`];
  if (!filesWithState.has(path)) return state.map((name) => `keeps the state ${name} in its module`);
  return state.filter((name) => !head.includes(`\`${name}\``)).map((name) => `does not name ${name} at its head`);
}

const files = repositoryFiles();
const sources = files.filter((path) => path === "mod.ts" || /^src\/.*\.ts$/.test(path)).map((path) =>
  parseSource(path)
);
const packageJson = JSON.parse(read("package.json"));
const jsrJson = JSON.parse(read("jsr.json"));

test("imports run one way, the protocol is pure, only platform.ts knows the runtime, and state is where it may be", () => {
  const broken = sources.map((file) => [file.path, ...violations(file)]).filter((found) => found.length > 1);
  expect(broken).toEqual([]);
});

test("no files import each other in a circle, types included", () => {
  expect(importCircles(sources)).toEqual([]);
});

test("every room has a file, and every file that may keep state keeps some", () => {
  const inhabited = new Set(sources.map((file) => roomOf(file.path)));
  expect(Object.keys(rooms).filter((room) => !inhabited.has(room))).toEqual([]);
  const withState = sources.filter(({ state }) => state.length > 0).map(({ path }) => path);
  expect([...filesWithState].filter((path) => !withState.includes(path))).toEqual([]);
});

test("every source file that does something has a test of its name in the same place", () => {
  const untested = sources.filter(({ path, hasOnlyTypes }) => path !== "mod.ts" && !hasOnlyTypes)
    .filter(({ path }) => !files.includes(path.replace(/^src\/(.*)\.ts$/, "tests/$1.test.ts")));
  expect(untested.map(({ path }) => path)).toEqual([]);
});

describe("what would be found", () => {
  test.each([
    ["src/stray.ts", "export const a = 1;", "belongs to no room"],
    ["src/protocol/a.ts", 'import type { Logger } from "../app/common/logger.ts";', "from protocol to common"],
    ["src/protocol/a.ts", 'export type A = import("../transport/a.ts").A;', "from protocol to transport"],
    ["src/protocol/a.ts", 'import { hash } from "node:crypto";', "imports node:crypto into the protocol"],
    ["src/protocol/a.ts", "export const a = () => Buffer.alloc(1);", "uses Buffer in the protocol"],
    ["src/protocol/a.ts", "setTimeout(() => {}, 1);", "uses setTimeout in the protocol"],
    ["src/client/a.ts", 'import { hash } from "node:crypto";', "imports node:crypto into the client"],
    ["src/client/a.ts", 'import type { B } from "./b.ts";', "imports ./b.ts into the client"],
    ["src/client/a.ts", 'import { show } from "../app/common/show.ts";', "into the client"],
    ["src/client/a.ts", 'const isDeno = "Deno" in globalThis;', "uses globalThis outside platform.ts"],
    ["src/app/a.ts", 'import { connect } from "../client/client.ts";', "from app to client"],
    ["mod.ts", 'export { connect } from "./src/client/client.ts";', "from mod to client"],
    ["src/transport/a.ts", 'export * from "../app/app.ts";', "from transport to app"],
    ["src/transport/a.ts", 'await import("../../tests/run.ts");', "from transport to outside"],
    ["src/transport/a.ts", 'const isBun = "bun" in process.versions;', "uses process.versions outside platform.ts"],
    ["src/transport/a.ts", 'import { versions } from "node:process";', "uses process.versions outside platform.ts"],
    ["src/transport/a.ts", 'const isDeno = "Deno" in globalThis;', "uses globalThis outside platform.ts"],
    ["src/transport/deflate/a.ts", 'import { cork } from "../outbox.ts";', "from deflate to transport"],
    ["src/transport/timers/a.ts", 'import type { A } from "../deflate/a.ts";', "from timers to deflate"],
    ["src/app/a.ts", 'import { redisBroker } from "../brokers/redis.ts";', "from app to brokers"],
    ["src/app/a.ts", "export const a: Deno.Conn | undefined = undefined;", "uses Deno outside platform.ts"],
    ["src/app/a.ts", 'import { WebSocket } from "ws";', "imports the package ws"],
    ["src/app/a.ts", 'import { Socket } from "./websocket/socket";', "without its .ts"],
    ["src/app/inject/a.ts", 'import type { App } from "../app.ts";', "from inject to app"],
    ["src/app/websocket/a.ts", 'import type { AppOptions } from "../options.ts";', "from websocket to app"],
    ["src/app/websocket/a.ts", 'import { Listener } from "../server/listener.ts";', "from websocket to server"],
    ["src/app/http/a.ts", 'import type { Socket } from "../websocket/socket.ts";', "from http to websocket"],
    ["src/app/pubsub/a.ts", 'import type { Socket } from "../websocket/socket.ts";', "from pubsub to websocket"],
    ["src/app/server/a.ts", 'import type { HttpRoutes } from "../http/http-routes.ts";', "from server to http"],
    ["src/app/common/a.ts", 'import { Opcode } from "../../protocol/opcode.ts";', "from common to protocol"],
    ["src/brokers/a.ts", 'import { Opcode } from "../protocol/opcode.ts";', "from brokers to protocol"],
    ["src/brokers/a.ts", 'import type { App } from "../app/app.ts";', "from brokers to app"],
    ["mod.ts", 'export * from "./src/app/app.ts";', "holds more than named re-exports: ExportAllDeclaration"],
    ["mod.ts", "export const a = 1;", "holds more than named re-exports"],
    ["src/app/a.ts", "let count = 0; export const next = () => ++count;", "keeps the state count"],
    ["src/app/a.ts", "export const seen = new Map<string, number>();", "keeps the state seen"],
    ["src/app/a.ts", "const list: number[] = []; export const add = (a: number) => list.push(a);", "the state list"],
    ["src/app/a.ts", "const a = { b: 1 }; export function set() { a.b = 2; }", "keeps the state a"],
    ["src/app/a.ts", "const bytes = new Uint8Array(4); export const next = () => bytes[0]++;", "keeps the state bytes"],
    ["src/app/a.ts", "export class A { static count = 0; }", "keeps the state A.count"],
    [
      "src/platform.ts",
      "/** Keeps nothing. */\nlet a = 1; export const set = () => a = 2;",
      "does not name a at its head",
    ],
  ])("in %s, `%s`", (path, text, violation) => {
    expect(violations(parseSource(path, text)).join()).toContain(violation);
  });

  test.each([
    ["src/protocol/a.ts", 'import { b } from "./b.ts"; export const a = { process: b.setTimeout };'],
    ["src/transport/a.ts", 'import { b } from "../protocol/b.ts"; import { connect } from "node:net"; connect(b);'],
    ["src/platform.ts", 'export const isDeno = "Deno" in globalThis;'],
    ["src/platform.ts", "// Module state: `a`, which `set` sets.\nlet a = 1; export const set = () => a = 2;"],
    [
      "src/app/a.ts",
      "const NAMES = [1]; export const a = NAMES.map((name) => { const b = []; b.push(name); return b; });",
    ],
    ["src/app/a.ts", "export class A { static readonly b = 1; readonly #c = new Map(); }"],
    ["mod.ts", 'export { createApp, type App } from "./src/app/app.ts";'],
  ])("not: in %s, `%s`", (path, text) => {
    expect(violations(parseSource(path, text))).toEqual([]);
  });

  const circle = [
    parseSource("src/app/c.ts", 'import { a } from "./a.ts";'),
    parseSource("src/app/a.ts", 'import type { B } from "./b.ts";'),
    parseSource("src/app/b.ts", 'import { c } from "./c.ts";'),
    parseSource("src/app/d.ts", 'import { a } from "./a.ts"; import { e } from "./e.ts";'),
    parseSource("src/app/e.ts", ""),
  ];

  test("a circle of three files, once, of which one arrow is a type import", () => {
    expect(importCircles(circle)).toEqual([["src/app/a.ts", "src/app/b.ts", "src/app/c.ts"]]);
    expect(importCircles(circle.slice(1))).toEqual([]);
  });

  test.each([
    ["import type { B } from './b.ts'; export interface A { b: B } export type C = A;", true],
    ["export type { B } from './b.ts';", true],
    ["export interface A { b: 1 } export const a = 1;", false],
    ["export class A {}", false],
    ["export { b } from './b.ts';", false],
  ])("`%s` declares types only: %s", (text, expected) => {
    expect(parseSource("src/app/a.ts", text).hasOnlyTypes).toBe(expected);
  });
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

test("deno.json says of the package what jsr.json says: deno publish reads the former where both exist", () => {
  expect(JSON.parse(read("deno.json"))).toMatchObject(jsrJson);
  expect(Object.keys(jsrJson)).toEqual(["name", "version", "license", "exports", "publish"]);
  expect(jsrJson.license).toBe(packageJson.license);
});

test("npm and JSR export the same modules", () => {
  const built = Object.entries<{ types: string; default: string }>(packageJson.exports).map(([name, paths]) => [
    name,
    paths.types,
    paths.default,
  ]);
  const sources = Object.entries<string>(jsrJson.exports).map(([name, path]) => {
    const stem = path.replace("./", "./dist/").replace(/\.ts$/, "");
    return [name, `${stem}.d.ts`, `${stem}.js`];
  });
  expect(built).toEqual(sources);
});

test("npm and JSR get the same papers", () => {
  const ofNpm = [...packageJson.files.filter((path: string) => path !== "dist"), "README.md", "LICENSE"];
  const ofJsr = jsrJson.publish.include.filter((path: string) => !["mod.ts", "src"].includes(path));
  expect(ofJsr.sort()).toEqual(ofNpm.sort());
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
