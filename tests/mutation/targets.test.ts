import { existsSync, globSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { root } from "../support/repository.ts";
import { findTargets } from "./targets.ts";

const sources = (patterns?: string[]): string[] => findTargets(root, patterns).map(({ source }) => source);
const testsOf = (source: string): readonly string[] => findTargets(root, [source]).flatMap(({ tests }) => tests);

test("the engine and the guards of the app are tested by mutation", () => {
  expect(sources()).toEqual(expect.arrayContaining([
    "src/protocol/server-protocol.ts",
    "src/transport/connection.ts",
    "src/transport/deflate/inflater.ts",
    "src/app/server/handshake-guard.ts",
    "src/app/http/trust-proxy.ts",
    "src/app/websocket/origins.ts",
    "src/app/common/validate.ts",
  ]));
  expect(sources()).not.toContain("src/app/http/controller.ts");
});

test("a source file is tested by the files of its name, and not by those of a source with a longer name", () => {
  const tests = testsOf("src/protocol/server-protocol.ts");
  expect(tests).toContain("tests/protocol/server-protocol.test.ts");
  expect(tests).toContain("tests/protocol/server-protocol-turns.test.ts");
  expect(testsOf("src/protocol/mask.ts")).toEqual(["tests/protocol/mask.test.ts"]);
  expect(testsOf("src/protocol/mask-simd.ts")).toEqual(["tests/protocol/mask-simd.test.ts"]);
});

test("slow tests are left out, unless a source file has no others", () => {
  expect(testsOf("src/protocol/server-protocol.ts")).not.toContain("tests/protocol/server-protocol-properties.test.ts");
  expect(testsOf("src/transport/deflate/negotiated-deflate.ts")).toEqual([
    "tests/transport/deflate/negotiated-deflate.test.ts",
  ]);
});

test("every target has a test that exists", () => {
  const targets = findTargets(root);
  expect(targets.filter(({ tests }) => tests.length === 0)).toEqual([]);
  expect(targets.flatMap(({ tests }) => tests).filter((path) => !existsSync(join(root, path)))).toEqual([]);
});

test("a folder stands for its files, and a file of types only has no tests", () => {
  const folder = "src/transport/timers";
  expect(sources([folder])).toEqual(globSync(`${folder}/*.ts`, { cwd: root }).sort());
  expect(sources(["src/protocol/protocol-handler.ts"])).toEqual([]);
});

test("tests of other names are added where they are asked for", () => {
  const [target] = findTargets(root, ["src/protocol/close.ts"], [
    "tests/protocol/mask.test.ts",
    "tests/transport/timers",
  ]);
  expect(target.tests).toEqual(expect.arrayContaining([
    "tests/protocol/close.test.ts",
    "tests/protocol/mask.test.ts",
    "tests/transport/timers/heartbeat.test.ts",
  ]));
});
