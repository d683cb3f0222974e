import { posix, win32 } from "node:path";
import { describe, expect, test } from "vitest";
import { type App, HttpError } from "../../../mod.ts";
import { ask, listeningApp, portOf } from "../../support/app.ts";
import { headerOf, rawRequest, statusOf } from "../../support/raw-client.ts";

const METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"] as const;

function manyRoutes(): Promise<App> {
  return listeningApp({}, (app) =>
    app
      .get("/both", () => "got").post("/both", () => "posted")
      .get("/room/:id", ({ params }) => `room ${params.id}`)
      .get("/room/lobby", () => "the lobby")
      .get("/files/*", ({ params }) => params["*"])
      .delete("/gone", () => undefined)
      .ws("/chat", () => {})
      .ws("/mixed", () => {}).get("/mixed", () => "a page beside its socket"));
}

describe("methods", () => {
  test("each method has controllers of its own", async () => {
    const app = await listeningApp({}, (app) => {
      app.get("/", () => "GET").post("/", () => "POST").put("/", () => "PUT");
      app.patch("/", () => "PATCH").delete("/", () => "DELETE");
    });
    for (const method of METHODS) expect((await ask(app, "/", method)).body).toBe(method);
  });

  test("HEAD gets the headers of GET, without the body", async () => {
    const app = await manyRoutes();
    const [get, head] = [await ask(app, "/both"), await ask(app, "/both", "HEAD")];
    expect(head).toMatchObject({ status: 200, body: "" });
    expect(head.headers["content-length"]).toBe("3");
    expect(head.headers["content-type"]).toBe(get.headers["content-type"]);
  });

  test.each([
    ["PUT", "/both", "GET, POST, HEAD, OPTIONS"],
    ["POST", "/room/1", "GET, HEAD, OPTIONS"],
    ["GET", "/gone", "DELETE, OPTIONS"],
    ["HEAD", "/gone", "DELETE, OPTIONS"],
    ["PROPFIND", "/both", "GET, POST, HEAD, OPTIONS"],
  ])("%s %s is 405, and Allow lists the methods of the path", async (method, path, allow) => {
    const { status, headers } = await ask(await manyRoutes(), path, method);
    expect(status).toBe(405);
    expect(headers.allow).toBe(allow);
  });

  test("OPTIONS lists the methods of a path, without a body", async () => {
    const { status, headers, body } = await ask(await manyRoutes(), "/both", "OPTIONS");
    expect([status, body]).toEqual([204, ""]);
    expect(headers.allow).toBe("GET, POST, HEAD, OPTIONS");
  });

  test("a controller of OPTIONS answers instead, with the params of its path", async () => {
    const app = await listeningApp(
      {},
      (app) =>
        app.get("/room/:id", () => "room").options(
          "/room/:id",
          ({ params }) =>
            new Response(null, { status: 204, headers: { "Access-Control-Allow-Methods": `GET ${params.id}` } }),
        ),
    );
    const { status, headers, body } = await ask(app, "/room/7", "OPTIONS");
    expect([status, body, headers["access-control-allow-methods"], headers.allow]).toEqual([
      204,
      "",
      "GET 7",
      undefined,
    ]);
    expect((await ask(app, "/room/7", "PUT")).headers.allow).toBe("GET, HEAD, OPTIONS");
    const injected = await app.inject(new Request("http://localhost/room/8", { method: "OPTIONS" }));
    expect(injected.headers.get("access-control-allow-methods")).toBe("GET 8");
  });

  test("a controller of OPTIONS for all paths changes no other response", async () => {
    const app = await listeningApp(
      {},
      (app) => app.options("/*", () => "yes").get("/page", () => "page").ws("/socket", () => {}),
    );
    for (const path of ["/page", "/socket", "/nothing"]) expect((await ask(app, path, "OPTIONS")).body).toBe("yes");
    const statuses = ["/page", "/socket", "/nothing"].map(async (path) => (await ask(app, path)).status);
    expect(await Promise.all(statuses)).toEqual([200, 426, 404]);
    expect(await ask(app, "/page", "PUT")).toMatchObject({ status: 405, headers: { allow: "GET, HEAD, OPTIONS" } });
  });
});

describe("paths", () => {
  test.each([
    ["/room/7", "room 7"],
    ["/room/a%20b", "room a b"],
    ["/room/lobby", "the lobby"],
    ["/room/7?x=/y", "room 7"],
    ["/files/a/b.txt", "a/b.txt"],
    ["/mixed", "a page beside its socket"],
  ])("%s reaches its controller", async (path, expected) => {
    expect(await ask(await manyRoutes(), path)).toMatchObject({ status: 200, body: expected });
  });

  test.each([
    ["/nowhere", 404],
    ["/room", 404],
    ["/Room/7", 404],
    ["/room/%zz", 400],
    ["/nowhere/%", 400],
    ["/chat", 426],
    ["/chat?x=1", 426],
  ])("%s is %d, with a text that gives the reason", async (path, expected) => {
    const { status, body, headers } = await ask(await manyRoutes(), path);
    expect(status).toBe(expected);
    expect(body).toMatch(/^[A-Z].+\n$/);
    expect(headers["content-type"]).toBe("text/plain; charset=utf-8");
  });

  test("an app without a route responds with 404", async () => {
    const app = await listeningApp({}, () => {});
    for (const method of [...METHODS, "OPTIONS"]) expect((await ask(app, "/", method)).status).toBe(404);
  });

  test.each([
    ["http://mysite.com/room/9?x=1", "/room/9 x=1"],
    ["HTTPS://mysite.com:8443/room/9", "/room/9 "],
    ["http://mysite.com", "/ "],
    ["http://mysite.com/", "/ "],
  ])("the target %s is taken apart (RFC 9112 §3.2.2)", async (target, expected) => {
    const app = await listeningApp({}, (app) => app.get("/*", ({ path, query }) => `${path} ${query}`));
    const request = `GET ${target} HTTP/1.1\r\nHost: mysite.com\r\nConnection: close\r\n\r\n`;
    const response = await rawRequest(portOf(app), request);
    expect(response.slice(response.indexOf("\r\n\r\n") + 4)).toBe(expected);
  });
});

test("a controller gets the request with the parts of its address, and the services", async () => {
  const app = await listeningApp(
    { services: { clock: { now: () => 42 } } },
    (app) =>
      app.get("/a/:b", ({ params, path, query, ip, headers }, { clock }) => ({
        params,
        path,
        query: [...query],
        ip,
        host: headers.host,
        now: clock.now(),
      })),
  );
  const { body } = await ask(app, "/a/x%2Fy?q=1&q=2");
  expect(JSON.parse(body)).toEqual({
    params: { b: "x/y" },
    path: "/a/x%2Fy",
    query: [["q", "1"], ["q", "2"]],
    ip: "127.0.0.1",
    host: `127.0.0.1:${portOf(app)}`,
    now: 42,
  });
});

test("a param is text of the client: the path of a file is made of it only after it was resolved and checked", async () => {
  // This is the example in the documentation of PathParams.
  for (const { resolve, sep } of [posix, win32]) {
    const folder = resolve(sep, "public");
    const app = await listeningApp({}, (app) =>
      app.get("/files/*", (req) => {
        const file = resolve(folder, req.params["*"]);
        if (!file.startsWith(folder + sep)) throw new HttpError(404, "There is no such file");
        return file.slice(folder.length).replaceAll(sep, "/");
      }));
    for (const path of ["a.css", "b/c.js", "b/../a.css", "b%2Fc.js", "...", "..a", "b/..%2fa.css"]) {
      const rest = posix.resolve("/", decodeURIComponent(path));
      expect(await rawRequest(portOf(app), getOf(`/files/${path}`)), path).toMatch(new RegExp(`\r\n\r\n${rest}$`));
    }
    const outside = [
      "../public2/a",
      "../../etc/passwd",
      "..%2f..%2Fetc/passwd",
      "b/../../x",
      "..",
      ".",
      "",
      "%2Fetc/passwd",
    ];
    if (sep === "\\") outside.push("..%5Cx", "C:%5Cx", "C:/x", "%5C%5Chost%5Cshare%5Cx", "b%5C..%5C..%5Cx");
    for (const path of outside) {
      expect(statusOf(await rawRequest(portOf(app), getOf(`/files/${path}`))), path).toBe(404);
    }
  }
});

function getOf(path: string): string {
  return `GET ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`;
}

test("requests on one connection get their responses in order", async () => {
  const slow = Promise.withResolvers<string>();
  const app = await listeningApp({}, (app) =>
    app.get("/slow", () => slow.promise).get("/quick", () => {
      slow.resolve("slow");
      return "quick";
    }));
  const get = (path: string, end = ""): string => `GET ${path} HTTP/1.1\r\nHost: a\r\n${end}\r\n`;
  const response = await rawRequest(portOf(app), get("/slow") + get("/quick", "Connection: close\r\n"));
  expect(response.match(/^(slow|quick)/gm)).toEqual(["slow", "quick"]);
  expect(headerOf(response, "Content-Length")).toBe("4");
});
