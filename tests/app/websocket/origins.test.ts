import { setImmediate as nextTurn } from "node:timers/promises";
import { describe, expect, test, vi } from "vitest";
import { compileOrigins, isSameOrigin, type WsOrigins } from "../../../src/app/websocket/origins.ts";
import { connectTo, errorEntry, listeningApp, portOf, recordingLogger } from "../../support/app.ts";
import { rawRequest, statusOf, upgradeRequest } from "../../support/raw-client.ts";

const HOST = "mysite.com";

function allows(allowed: WsOrigins, origin: string, host: string = HOST): boolean {
  return compileOrigins(allowed)(origin, host);
}

describe("one origin", () => {
  test.each([
    ["https://mysite.com", "https://mysite.com", true],
    ["https://mysite.com", "https://MySite.COM", true],
    ["https://mysite.com", "HTTPS://mysite.com", true],
    ["https://MYSITE.com", "https://mysite.com", true],
    ["https://mysite.com/", "https://mysite.com", true],
    ["https://mysite.com:443", "https://mysite.com", true],
    ["https://mysite.com", "https://mysite.com:443", true],
    ["http://mysite.com:80", "http://mysite.com", true],
    ["https://mysite.com:8443", "https://mysite.com:8443", true],
    ["https://xn--bcher-kva.example", "https://bücher.example", true],
    ["http://localhost:3000", "http://localhost:3000", true],
    ["http://[::1]:3000", "http://[0:0:0:0:0:0:0:1]:3000", true],
    ["chrome-extension://abcdef", "chrome-extension://abcdef", true],
    ["tauri://localhost", "tauri://localhost", true],
    ["capacitor://localhost/", "capacitor://localhost", true],
    ["app://.", "app://.", true],
    ["app://", "app://", true],
    ["app://notes:8080", "app://notes:8080", true],
    ["file://", "file://", true],
    ["file:///", "file://", true],
    ["null", "null", true],

    ["https://mysite.com", "http://mysite.com", false],
    ["https://mysite.com", "https://mysite.com:8443", false],
    ["https://mysite.com", "https://www.mysite.com", false],
    ["https://mysite.com", "https://mysite.com.evil.com", false],
    ["https://mysite.com", "https://evil.com/https://mysite.com", false],
    ["https://mysite.com", "https://mysite.com@evil.com", false],
    ["https://mysite.com", "https://user@mysite.com", false],
    ["https://mysite.com", "https://:secret@mysite.com", false],
    ["https://mysite.com", "https://mysite.com?evil.com", false],
    ["https://mysite.com", "https://mysite.com#evil.com", false],
    ["https://mysite.com", " https://mysite.com", false],
    ["https://mysite.com", "https://mysite.com, https://evil.com", false],
    ["https://mysite.com", "null", false],
    ["https://mysite.com", "", false],
    ["https://mysite.com", "mysite.com", false],
    ["https://mysite.com", "https://", false],
    ["chrome-extension://abcdef", "chrome-extension://ghijkl", false],
    ["chrome-extension://abcdef", "moz-extension://abcdef", false],
    ["tauri://localhost", "http://localhost", false],
    ["tauri://localhost", "tauri://localhost.evil.com", false],
    ["tauri://localhost", "tauri://localhost:1", false],
    ["tauri://localhost", "tauri://evil@localhost", false],
    ["tauri://localhost", "tauri://localhost/evil", false],
    ["app://", "app://evil", false],
    ["app://", "app:", false],
    ["file://", "null", false],
    ["file://", "file:///etc/passwd", false],
    ["file://", "file://evil.com", false],
    ["file://", "file:", false],
    ["null", "file://", false],
    ["null", "", false],
    ["null", "NULL", false],
    ["null", "null, https://evil.com", false],
    ["null", "https://null", false],
  ])("%s lets %s in: %s", (allowed, origin, expected) => {
    expect(allows(allowed, origin)).toBe(expected);
  });
});

describe("all subdomains", () => {
  test.each([
    ["https://*.mysite.com", "https://www.mysite.com", true],
    ["https://*.mysite.com", "https://a.b.c.mysite.com", true],
    ["https://*.mysite.com", "https://WWW.MySite.com", true],
    ["https://*.MySite.com", "https://www.mysite.com", true],
    ["https://*.mysite.com:443", "https://www.mysite.com", true],
    ["https://*.mysite.com:8443", "https://www.mysite.com:8443", true],

    ["https://*.mysite.com", "https://mysite.com", false],
    ["https://*.mysite.com", "https://evilmysite.com", false],
    ["https://*.mysite.com", "https://.mysite.com", false],
    ["https://*.mysite.com", "http://www.mysite.com", false],
    ["https://*.mysite.com", "https://www.mysite.com:8443", false],
    ["https://*.mysite.com:8443", "https://www.mysite.com", false],
    ["https://*.mysite.com", "https://www.mysite.com.evil.com", false],
    ["https://*.mysite.com", "https://evil.com/.mysite.com", false],
    ["https://*.mysite.com", "https://evil.com?.mysite.com", false],
    ["https://*.mysite.com", "https://evil.com#.mysite.com", false],
    ["https://*.mysite.com", "https://evil.com\\.mysite.com", false],
    ["https://*.mysite.com", "https://evil.com:1.mysite.com", false],
    ["https://*.mysite.com", "https://evil.com@www.mysite.com", false],
    ["https://*.mysite.com", "null", false],
  ])("%s lets %s in: %s", (allowed, origin, expected) => {
    expect(allows(allowed, origin)).toBe(expected);
  });
});

describe("same-origin", () => {
  test.each([
    ["https://mysite.com", "mysite.com", true],
    ["http://mysite.com", "mysite.com", true],
    ["https://mysite.com", "MYSITE.com", true],
    ["https://mysite.com", "mysite.com:443", true],
    ["http://mysite.com:80", "mysite.com", true],
    ["http://localhost:3000", "localhost:3000", true],
    ["http://[::1]:3000", "[::1]:3000", true],

    ["https://mysite.com", "mysite.com:8443", false],
    ["http://mysite.com", "mysite.com:443", false],
    ["https://evil.com", "mysite.com", false],
    ["https://www.mysite.com", "mysite.com", false],
    ["https://mysite.com", "", false],
    ["https://mysite.com", "mysite.com/x", false],
    ["https://mysite.com", "evil@mysite.com", false],
    ["null", "mysite.com", false],
    ["null", "null", false],
    ["file://", "", false],
    ["app://", "", false],
    ["app://mysite.com", "mysite.com", false],
    ["xhttp://mysite.com", "mysite.com", false],
  ])("%s at the host %s: %s", (origin, host, expected) => {
    expect(isSameOrigin(origin, host)).toBe(expected);
    expect(allows("same-origin", origin, host)).toBe(expected);
  });

  test.each<[string, string, "http" | "https", boolean]>([
    ["https://mysite.com", "mysite.com", "https", true],
    ["https://mysite.com", "mysite.com:443", "https", true],
    ["http://mysite.com", "mysite.com", "http", true],
    ["http://mysite.com", "mysite.com", "https", false],
    ["https://mysite.com", "mysite.com", "http", false],
    ["http://mysite.com:443", "mysite.com", "https", false],
  ])("%s at the host %s, with %s as a trusted proxy has named it: %s", (origin, host, protocol, expected) => {
    expect(isSameOrigin(origin, host, protocol)).toBe(expected);
    expect(compileOrigins(["https://another.com", "same-origin"])(origin, host, protocol)).toBe(expected);
  });
});

describe("a RegExp", () => {
  test.each([/^https:\/\/[a-z]+\.dev$/, /^https:\/\/[a-z]+\.dev$/g, /^https:\/\/[a-z]+\.dev$/y])(
    "%s gives the same result each time",
    (pattern) => {
      const check = compileOrigins(pattern);
      const results = Array.from({ length: 4 }, () => check("https://abc.dev", HOST));
      expect(results).toEqual([true, true, true, true]);
      expect(check("https://abc.com", HOST)).toBe(false);
    },
  );

  test("keeps its other flags, and the caller may go on using it", () => {
    const pattern = /^HTTPS:/gi;
    const check = compileOrigins(pattern);
    pattern.lastIndex = 3;
    expect(check("https://mysite.com", HOST)).toBe(true);
    expect(pattern.lastIndex).toBe(3);
  });
});

describe("a predicate", () => {
  test("gets the origin as the browser has sent it, and the host", () => {
    const predicate = vi.fn(() => true);
    expect(allows(predicate, "HTTPS://mysite.com:443", "example.com:80")).toBe(true);
    expect(predicate).toHaveBeenCalledExactlyOnceWith("HTTPS://mysite.com:443", "example.com:80");
  });

  test.each<[string, unknown]>([
    ["false", false],
    ["nothing", undefined],
    ["a promise, which is not true", Promise.resolve(false)],
  ])("that says %s lets nobody in", (_name, verdict) => {
    expect(allows((() => verdict) as () => boolean, "https://mysite.com")).toBe(false);
  });

  test("that is async by mistake and rejects lets nobody in, and its rejection does not end the process", async () => {
    const unhandled = vi.fn();
    process.on("unhandledRejection", unhandled);
    const predicate = (): unknown => Promise.reject(new Error("no database"));
    expect(allows(predicate as () => boolean, "https://mysite.com")).toBe(false);
    await nextTurn();
    process.off("unhandledRejection", unhandled);
    expect(unhandled).not.toHaveBeenCalled();
  });
});

describe("a list", () => {
  const list: WsOrigins = ["https://a.com", "https://*.b.com", /^https:\/\/c\d\.com$/, "same-origin"];

  test.each([
    ["https://a.com", true],
    ["https://x.b.com", true],
    ["https://c7.com", true],
    ["https://mysite.com", true],
    ["https://d.com", false],
  ])("lets %s in: %s", (origin, expected) => {
    expect(allows(list, origin)).toBe(expected);
  });

  test("that is empty allows no origin", () => {
    expect(allows([], "https://mysite.com")).toBe(false);
  });
});

test.each<[unknown, RegExp]>([
  [42, /got 42/],
  [null, /got null/],
  [{}, /got an object \(Object\)/],
  [true, /got true/],
  [[42], /got 42/],
  [[["https://a.com"]], /got an array/],
  ["", /got ""/],
  ["*", /got "\*"/],
  ["mysite.com", /got "mysite\.com"/],
  ["localhost:3000", /got "localhost:3000"/],
  ["//mysite.com", /got "\/\/mysite\.com"/],
  ["https://mysite.com/chat", /got "https:\/\/mysite\.com\/chat"/],
  ["https://mysite.com?a", /got/],
  ["https://user:secret@mysite.com", /got/],
  ["https://*", /got "https:\/\/\*"/],
  ["https://*.*.mysite.com", /got/],
  ["https://my*.com", /got/],
  ["https://*.mysite.com*", /got/],
  ["web https://*.mysite.com", /got/],
  ["https://www.*.com", /got/],
  ["*.mysite.com", /got "\*\.mysite\.com"/],
  ["https://*.mysite.com/chat", /got/],
  ["app://*", /got "app:\/\/\*"/],
  ["tauri:localhost", /got "tauri:localhost"/],
  ["mailto:x", /got "mailto:x"/],
  ["file", /got "file"/],
  ["file:///home/ada/page.html", /got/],
  ["tauri://localhost/index.html", /got/],
  ["NULL", /got "NULL"/],
  [" null", /got " null"/],
])("what is no origin is refused at once: %o", (allowed, given) => {
  const attempt = (): unknown => compileOrigins(allowed as WsOrigins);
  expect(attempt).toThrow(TypeError);
  expect(attempt).toThrow(/wsOrigins must .*(https:\/\/mysite\.com|"same-origin")/);
  expect(attempt).toThrow(given);
});

describe("on the wire", () => {
  test("a wrong origin gets 403; a right origin, and a request without one, get in", async () => {
    const app = await listeningApp(
      { wsOrigins: ["https://mysite.com", "same-origin"] },
      (app) => app.ws("/", () => {}),
    );
    const status = async (headers: Record<string, string | string[]>): Promise<number> =>
      statusOf(await rawRequest(portOf(app), upgradeRequest("/", headers)));
    expect(await status({ Origin: "https://evil.com" })).toBe(403);
    expect(await status({ Origin: "null" })).toBe(403);
    expect(await status({ Origin: "" })).toBe(403);
    expect(await status({ Origin: ["https://mysite.com", "https://evil.com"] })).toBe(403);
    await connectTo(app, { headers: { Origin: "https://mysite.com" } });
    await connectTo(app, { headers: { Origin: "http://localhost:81", Host: "localhost:81" } });
    await connectTo(app);
    expect(app.stats()).toMatchObject({ accepted: 3, refused: 4 });
  });

  test("pages of apps, of files and without an origin get in where they are named", async () => {
    const app = await listeningApp(
      { wsOrigins: ["tauri://localhost", "file://"] },
      (app) => app.ws("/", () => {}).ws("/sandbox", { wsOrigins: "null" }, () => {}),
    );
    for (const Origin of ["tauri://localhost", "file://"]) await connectTo(app, { headers: { Origin } });
    await connectTo(app, { path: "/sandbox", headers: { Origin: "null" } });
    await app.inject("/sandbox", { headers: { Origin: "null" } });
    const refused = upgradeRequest("/", { Origin: "null" });
    expect(statusOf(await rawRequest(portOf(app), refused))).toBe(403);
  });

  test("without wsOrigins every origin gets in, and the first one of another host is logged, once", async () => {
    const { logger, entries } = recordingLogger();
    const app = await listeningApp({ logger }, (app) => app.ws("/", () => {}));
    await connectTo(app);
    await connectTo(app, { headers: { Origin: "http://localhost" } });
    expect(entries).toEqual([]);
    await connectTo(app, { headers: { Origin: "https://other.com" } });
    await connectTo(app, { headers: { Origin: "https://third.com" } });
    expect(entries.map(({ level }) => level)).toEqual(["warn"]);
    expect(entries[0].args.join(" ")).toMatch(/"https:\/\/other\.com".*"localhost".*wsOrigins/);
  });

  test("with wsOrigins nothing is logged", async () => {
    const { logger, entries } = recordingLogger();
    const app = await listeningApp({ logger, wsOrigins: /./ }, (app) => app.ws("/", () => {}));
    await connectTo(app, { headers: { Origin: "https://other.com" } });
    expect(entries).toEqual([]);
  });

  test("wsOrigins of a route apply instead of those of the app", async () => {
    const app = await listeningApp({ wsOrigins: "https://app.com" }, (app) =>
      app
        .ws("/app", () => {})
        .ws("/route", { wsOrigins: "https://route.com" }, () => {}));
    const status = async (path: string, origin: string): Promise<number> =>
      statusOf(await rawRequest(portOf(app), upgradeRequest(path, { Origin: origin })));
    await connectTo(app, { path: "/app", headers: { Origin: "https://app.com" } });
    await connectTo(app, { path: "/route", headers: { Origin: "https://route.com" } });
    expect(await status("/app", "https://route.com")).toBe(403);
    expect(await status("/route", "https://app.com")).toBe(403);
  });

  test("a predicate that throws refuses the client, and is logged", async () => {
    const { logger, entries } = recordingLogger();
    const broken = new Error("no database");
    const wsOrigins = (): boolean => {
      throw broken;
    };
    const app = await listeningApp({ logger, wsOrigins }, (app) => app.ws("/", () => {}));
    const response = await rawRequest(portOf(app), upgradeRequest("/", { Origin: "https://mysite.com" }));
    expect(statusOf(response)).toBe(500);
    expect(response).not.toContain("database");
    expect(entries).toEqual([errorEntry("", broken)]);
  });
});
