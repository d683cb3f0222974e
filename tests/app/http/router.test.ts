import { describe, expect, test } from "vitest";
import { HttpError } from "../../../src/app/http/http-error.ts";
import { Router } from "../../../src/app/http/router.ts";

function routerOf(...patterns: string[]): Router<string> {
  const router = new Router<string>();
  for (const pattern of patterns) router.add(pattern, pattern);
  return router;
}

describe.each([
  ["as written", (patterns: string[]) => patterns],
  ["in reverse", (patterns: string[]) => [...patterns].reverse()],
])("the most specific route wins, added %s", (_name, ordered) => {
  const patterns = [
    "/",
    "/chat",
    "/chat/",
    "/chat/lobby",
    "/chat/:room",
    "/chat/:room/members",
    "/chat/:room/:member",
    "/chat/lobby/:member",
    "/chat/*",
    "/:any",
    "/files/*",
    "/files/:name/raw",
    "/*",
  ];
  const router = routerOf(...ordered(patterns));

  test.each<[string, string, Record<string, string>]>([
    ["/", "/", {}],
    ["/chat", "/chat", {}],
    ["/chat/", "/chat/", {}],
    ["/chat/lobby", "/chat/lobby", {}],
    ["/chat/blue", "/chat/:room", { room: "blue" }],
    ["/chat/blue/members", "/chat/:room/members", { room: "blue" }],
    ["/chat/blue/ann", "/chat/:room/:member", { room: "blue", member: "ann" }],
    ["/chat/lobby/ann", "/chat/lobby/:member", { member: "ann" }],
    ["/chat/lobby/members", "/chat/lobby/:member", { member: "members" }],
    ["/chat/blue/ann/x", "/chat/*", { "*": "blue/ann/x" }],
    ["/chat//", "/chat/*", { "*": "/" }],
    ["/news", "/:any", { any: "news" }],
    ["/files/a/b.txt", "/files/*", { "*": "a/b.txt" }],
    ["/files/", "/files/*", { "*": "" }],
    ["/files/a/raw", "/files/:name/raw", { name: "a" }],
    ["/files", "/:any", { any: "files" }],
    ["//", "/*", { "*": "/" }],
    ["/a/b/c", "/*", { "*": "a/b/c" }],
    ["/CHAT", "/:any", { any: "CHAT" }],
  ])("%s leads to %s", (path, pattern, params) => {
    const match = router.match(path);
    expect(match?.route).toBe(pattern);
    expect({ ...match?.params }).toEqual(params);
  });
});

test("a path that does not begin with a slash has no route", () => {
  const router = routerOf("/*", "/", "/:any");
  expect(["", "*", "chat", "chat/lobby", "%"].map((path) => router.match(path))).toEqual(Array(5).fill(undefined));
});

test.each([
  ["/chat", "/"],
  ["/chat", "/chat/"],
  ["/chat", "/chat/x"],
  ["/chat", "/Chat"],
  ["/chat/", "/chat"],
  ["/:room", "/"],
  ["/:room", "/a/b"],
  ["/:room/x", "//x"],
  ["/a/*", "/a"],
  ["/a/:b", "/a/"],
])("the route %s does not match %s", (pattern, path) => {
  expect(routerOf(pattern).match(path)).toBeUndefined();
});

test("a router without routes matches no path", () => {
  expect(routerOf().match("/")).toBeUndefined();
});

describe("percent-encoding", () => {
  const router = routerOf("/chat/:room", "/grüße", "/files/*");

  test.each([
    ["/chat/a%20b", "/chat/:room", { room: "a b" }],
    ["/chat/%C3%BC", "/chat/:room", { room: "ü" }],
    ["/chat/a%2Fb", "/chat/:room", { room: "a/b" }],
    ["/chat/100%25", "/chat/:room", { room: "100%" }],
    ["/chat/%2525", "/chat/:room", { room: "%25" }],
    ["/chat/a+b", "/chat/:room", { room: "a+b" }],
    ["/%63hat/x", "/chat/:room", { room: "x" }],
    ["/gr%C3%BC%C3%9Fe", "/grüße", {}],
    ["/files/a%20b/c%2Fd", "/files/*", { "*": "a b/c/d" }],
  ])("%s leads to %s, decoded once", (path, pattern, params) => {
    const match = router.match(path);
    expect(match?.route).toBe(pattern);
    expect({ ...match?.params }).toEqual(params);
  });

  test.each(["/chat/%", "/chat/%2", "/chat/%zz", "/chat/%ff", "/chat/%c3%28", "/%E0%A4%A", "/nowhere/%", "/files/a/%"])(
    "%s is refused with 400",
    (path) => {
      expect(() => router.match(path)).toThrow(expect.objectContaining({ status: 400, name: "HttpError" }));
    },
  );

  test("is refused even if there are no routes", () => {
    expect(() => routerOf().match("/%")).toThrow(HttpError);
  });
});

test("a param may have the name of a member of every object", () => {
  const router = routerOf("/:__proto__/:constructor/:toString");
  const { params } = router.match("/a/b/c")!;
  expect(Object.entries(params)).toEqual([["__proto__", "a"], ["constructor", "b"], ["toString", "c"]]);
  expect(routerOf("/x").match("/x")!.params.constructor).toBeUndefined();
});

test("matching a path takes time linear in its length", () => {
  const router = routerOf(...Array.from({ length: 50 }, (_, i) => `/:a/${i}/*`));
  const before = performance.now();
  expect(router.match(`/x/1/${"a/".repeat(100_000)}`)?.route).toBe("/:a/1/*");
  expect(performance.now() - before).toBeLessThan(1_000);
});

test.each<[string[], string, RegExp[]]>([
  [["/chat"], "/chat", [/"\/chat"/, /already has a handler/]],
  [["/chat/:room"], "/chat/:name", [/"\/chat\/:name"/, /"\/chat\/:room"/, /same paths/]],
  [["/:a/x/:b"], "/:c/x/:d", [/"\/:c\/x\/:d"/, /"\/:a\/x\/:b"/]],
  [["/a/*", "/b"], "/a/*", [/"\/a\/\*"/]],
])("%o and %s cannot both be added", (patterns, pattern, messages) => {
  const router = routerOf(...patterns);
  for (const message of messages) expect(() => router.add(pattern, "")).toThrow(message);
  expect(() => router.add(pattern, "")).toThrow(TypeError);
});

test.each<[unknown, RegExp]>([
  ["chat", /starts with "\/".*got "chat"/],
  ["", /starts with "\/".*got ""/],
  ["http://mysite.com/chat", /starts with "\/".*got "http:\/\/mysite\.com\/chat"/],
  [undefined, /starts with "\/".*got undefined/],
  [42, /starts with "\/".*got 42/],
  [/chat/, /starts with "\/".*got an object \(RegExp\)/],
  ["/chat?room=1", /no query.*got "\/chat\?room=1"/],
  ["/chat#top", /fragment.*got "\/chat#top"/],
  ["/*/members", /last segment.*got "\/\*\/members"/],
  ["/a*", /last segment.*got "\/a\*"/],
  ["/**", /last segment.*got "\/\*\*"/],
  ["/:", /"\/chat\/:room".*got "\/:"/],
  ["/:a-b", /"\/chat\/:room".*got "\/:a-b"/],
  ["/:1", /got "\/:1"/],
  ["/:a/:a", /":a" stands twice in "\/:a\/:a"/],
])("%o is not a valid path", (pattern, message) => {
  const add = (): void => new Router<string>().add(pattern as string, "");
  expect(add).toThrow(TypeError);
  expect(add).toThrow(message);
});
