/**
 * Every refusal of a handshake or a request: its status, its text and its headers. The client is curl where it is
 * installed, and a raw client elsewhere.
 */

import { execFile, spawnSync } from "node:child_process";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { type App, HttpError } from "../../mod.ts";
import { connectTo, listeningApp, portOf, recordingLogger } from "../support/app.ts";
import { headerOf, rawRequest, statusOf } from "../support/raw-client.ts";

interface Asked {
  readonly path: string;
  readonly method?: string;
  readonly headers?: Record<string, string | undefined>;
  readonly body?: string;
}

const HANDSHAKE = {
  Upgrade: "websocket",
  Connection: "Upgrade",
  "Sec-WebSocket-Version": "13",
  "Sec-WebSocket-Key": "c3BhY2Vub2RlLWtleS0wMQ==",
};

/** A valid handshake, except for the parts that are given. */
function handshake(path: string, rest: Omit<Asked, "path"> = {}): Asked {
  return { path, ...rest, headers: { ...HANDSHAKE, ...rest.headers } };
}

const hasCurl = spawnSync("curl", ["--version"]).status === 0;
const run = promisify(execFile);

/** Sends a request, and returns the whole response, head and body. */
async function respond(app: App, asked: Asked): Promise<string> {
  return await (hasCurl ? askWithCurl : askRaw)(portOf(app), asked);
}

async function askWithCurl(port: number, { path, method = "GET", headers = {}, body }: Asked): Promise<string> {
  const args = ["--silent", "--show-error", "--include", "--http1.1", "--max-time", "10", "--request", method];
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined) args.push("--header", `${name}: ${value}`);
  }
  if (body !== undefined) args.push("--data-binary", body);
  const { stdout } = await run("curl", [...args, "--path-as-is", `http://127.0.0.1:${port}${path}`]);
  return stdout;
}

async function askRaw(port: number, { path, method = "GET", headers = {}, body }: Asked): Promise<string> {
  const length = body === undefined ? {} : { "Content-Length": String(body.length) };
  const all = Object.entries({ Host: "127.0.0.1", Connection: "close", ...headers, ...length });
  const lines = all.filter(([, value]) => value !== undefined).map(([name, value]) => `${name}: ${value}\r\n`);
  return await rawRequest(port, `${method} ${path} HTTP/1.1\r\n${lines.join("")}\r\n${body ?? ""}`);
}

const refuse = (): never => {
  throw new HttpError(401, "Sign in first", { "WWW-Authenticate": "Bearer" });
};

const fail = (): never => {
  throw new Error("the password is 12345");
};

/** An app with a route for every reason to refuse. */
function strictApp(): Promise<App> {
  const { logger } = recordingLogger();
  const options = { logger, maxBodyBytes: 10, handshakeTimeoutMs: 300, wsOrigins: "https://mysite.com" };
  return listeningApp(options, (app) =>
    app
      .ws("/chat", { subprotocols: ["v1.chat", "v2.chat"] }, () => {})
      .ws("/members", { upgrade: refuse }, () => {})
      .ws("/moved", { upgrade: () => Response.redirect("https://mysite.com/login", 302) }, () => {})
      .ws("/refused", {
        upgrade: () => new Response("Closed today", { status: 403, headers: { "X-Open": "Monday" } }),
      }, () => {})
      .ws("/broken", { upgrade: fail }, () => {})
      .ws("/thinking", {
        upgrade: () => new Promise(() => {}),
      }, () => {})
      .get("/members", refuse)
      .get("/broken", fail)
      .get("/unsendable", () => 10n)
      .post("/json", (req) => req.json()));
}

type Row = [name: string, asked: Asked, status: number, body: string, headers?: Record<string, string>];

const ROWS: Row[] = [
  // Handshakes
  ["a path without a route", handshake("/nowhere"), 404, "There is no WebSocket at this path\n"],
  ["a bad percent-encoding", handshake("/chat%zz"), 400, "The path has a bad percent-encoding\n"],
  [
    "no Upgrade header",
    { path: "/chat", headers: { "Sec-WebSocket-Version": "13" } },
    426,
    "This is a WebSocket: connect with a WebSocket client\n",
    { Upgrade: "websocket", "Sec-WebSocket-Version": "13" },
  ],
  [
    "another version",
    handshake("/chat", { headers: { "Sec-WebSocket-Version": "8" } }),
    426,
    "Sec-WebSocket-Version must be 13; got another one\n",
    { Upgrade: "websocket", "Sec-WebSocket-Version": "13" },
  ],
  [
    "no version",
    handshake("/chat", { headers: { "Sec-WebSocket-Version": undefined } }),
    426,
    "Sec-WebSocket-Version must be 13; it is missing\n",
  ],
  [
    "no key",
    handshake("/chat", { headers: { "Sec-WebSocket-Key": undefined } }),
    400,
    "Sec-WebSocket-Key must be 16 bytes in base64, given once\n",
  ],
  [
    "a key that is too short",
    handshake("/chat", { headers: { "Sec-WebSocket-Key": "c2hvcnQ=" } }),
    400,
    "Sec-WebSocket-Key must be 16 bytes in base64, given once\n",
  ],
  [
    "another method",
    handshake("/chat", { method: "POST" }),
    405,
    "A WebSocket handshake is a GET request; got POST\n",
    { Allow: "GET" },
  ],
  [
    "another protocol",
    handshake("/chat", { headers: { Upgrade: "h2c" } }),
    426,
    "This is a WebSocket: connect with a WebSocket client\n",
    { "Sec-WebSocket-Version": "13", Upgrade: "websocket" },
  ],
  [
    "another origin",
    handshake("/chat", { headers: { Origin: "https://evil.com" } }),
    403,
    "Pages of this origin may not connect\n",
  ],
  [
    "no subprotocol in common",
    handshake("/chat", { headers: { "Sec-WebSocket-Protocol": "v9" } }),
    400,
    "None of the offered subprotocols is spoken here; these are: v1.chat, v2.chat\n",
  ],
  [
    "subprotocols that are not valid",
    handshake("/chat", { headers: { "Sec-WebSocket-Protocol": "a b" } }),
    400,
    "Sec-WebSocket-Protocol must be a list of different tokens\n",
  ],
  ["a hook that throws an HttpError", handshake("/members"), 401, "Sign in first\n", { "WWW-Authenticate": "Bearer" }],
  ["a hook that redirects", handshake("/moved"), 302, "", { Location: "https://mysite.com/login" }],
  ["a hook that returns a Response", handshake("/refused"), 403, "Closed today", { "X-Open": "Monday" }],
  ["a hook that fails", handshake("/broken"), 500, "The handshake has failed\n"],
  ["a hook that never settles", handshake("/thinking"), 408, "The handshake was not complete after 300 ms\n"],
  // Requests
  ["a page without a route", { path: "/nowhere" }, 404, "There is nothing at this path\n"],
  ["a page with a bad percent-encoding", { path: "/%zz" }, 400, "The path has a bad percent-encoding\n"],
  ["a page without a controller for the method", { path: "/json", method: "PUT" }, 405, "PUT is not possible here\n", {
    Allow: "POST, OPTIONS",
  }],
  [
    "a body that is too large",
    { path: "/json", method: "POST", body: "12345678901" },
    413,
    "The body is larger than 10 bytes\n",
  ],
  ["a body that is not JSON", { path: "/json", method: "POST", body: "{" }, 400, "The body is not valid JSON\n"],
  ["a controller that throws an HttpError", { path: "/members" }, 401, "Sign in first\n", {
    "WWW-Authenticate": "Bearer",
  }],
  ["a controller that fails", { path: "/broken" }, 500, "Something went wrong on the server\n"],
  ["a controller whose result cannot be sent", { path: "/unsendable" }, 500, "Something went wrong on the server\n"],
  [
    "headers that are too large",
    { path: "/json", headers: { "X-Long": "x".repeat(90_000) } },
    431,
    "The request headers are too large\n",
  ],
];

test.each(ROWS)("%s", async (_name, asked, status, body, headers = {}) => {
  const response = await respond(await strictApp(), asked);
  expect(statusOf(response), response).toBe(status);
  expect(response.slice(response.indexOf("\r\n\r\n") + 4)).toBe(body);
  for (const [name, value] of Object.entries(headers)) expect(headerOf(response, name), name).toBe(value);
  expect(response).not.toContain("12345\n");
});

test.each([
  ["maxConnections", 503, "The server has no room for more connections\n"],
  ["maxConnectionsPerIp", 429, "There are too many connections from this address\n"],
])("no room for another connection, because of %s", async (option, status, body) => {
  const app = await listeningApp({ [option]: 1 }, (app) => app.ws("/", () => {}));
  await connectTo(app);
  const response = await respond(app, handshake("/"));
  expect([statusOf(response), response.slice(response.indexOf("\r\n\r\n") + 4)]).toEqual([status, body]);
});

test("a server that is going away", async () => {
  const asked = Promise.withResolvers<void>();
  const app = await listeningApp({}, (app) =>
    app.ws("/", {
      upgrade: () => {
        asked.resolve();
        return new Promise(() => {});
      },
    }, () => {}));
  const response = respond(app, handshake("/"));
  await asked.promise;
  void app.close();
  expect(statusOf(await response)).toBe(503);
  expect(await response).toMatch(/The server is going away\n$/);
});
