/** `app.inject` with a `Request`: controllers in memory, through the same code that responds over a port. */

import { describe, expect, onTestFinished, test } from "vitest";
import { type App, createApp, HttpError } from "../../../mod.ts";
import { streamFrom } from "../../support/web-stream.ts";

describe("a controller in memory", () => {
  const request = (path: string, init: RequestInit = {}): Request =>
    new Request(`http://anywhere.example${path}`, init);

  async function site(): Promise<App> {
    const app = await createApp({ logger: false, maxBodyBytes: 100 });
    onTestFinished(async () => void await app.close());
    return (
      app
        .get(
          "/hello/:name",
          ({ params, query, ip, headers, method }) => [params.name, query.get("q"), ip, headers["x-mine"], method],
        )
        .post("/json", async (req) => ({ got: await req.json() }))
        .put("/bytes", (req) => req.bytes())
        .get("/nothing", () => undefined)
        .get("/cookies", () => new Response("yes", { headers: [["Set-Cookie", "a=1"], ["Set-Cookie", "b=2"]] }))
        .get("/stream", () => new Response(streamFrom(["one ", "by one"].map((each) => Buffer.from(each)))))
        .get("/broken", () =>
          new Response(
            new ReadableStream({
              pull() {
                throw new Error("dried up");
              },
            }),
          ))
        .get("/error", () => {
          throw new HttpError(418, "Tea only", { "X-Pot": "small" });
        })
        .get("/throws", () => {
          throw new Error("secret");
        })
        .ws("/ws", () => {})
    );
  }

  test("gets path, query, params, headers and address, and gives JSON", async () => {
    const response = await (await site()).inject(request("/hello/a%20b?q=1", { headers: { "X-Mine": "yes" } }));
    expect(response.headers.get("content-type")).toBe("application/json; charset=utf-8");
    expect(await response.json()).toEqual(["a b", "1", "127.0.0.1", "yes", "GET"]);
  });

  test("reads bodies: JSON, bytes, streams", async () => {
    const app = await site();
    const json = await app.inject(request("/json", { method: "POST", body: '{"a":"ü"}' }));
    expect(await json.json()).toEqual({ got: { a: "ü" } });
    const bytes = await app.inject(request("/bytes", { method: "PUT", body: new Uint8Array([0, 255]) }));
    expect(Buffer.from(await bytes.arrayBuffer())).toEqual(Buffer.from([0, 255]));
    const body = streamFrom([Buffer.from("4"), Buffer.from("2")]);
    const streamed = await app.inject(request("/json", { method: "POST", body, duplex: "half" } as RequestInit));
    expect(await streamed.json()).toEqual({ got: 42 });
  });

  test.each<[string, string, RequestInit, number, string]>([
    ["undefined", "/nothing", {}, 204, ""],
    ["HEAD, which has no body", "/hello/x", { method: "HEAD" }, 200, ""],
    ["a stream", "/stream", {}, 200, "one by one"],
    ["an HttpError", "/error", {}, 418, "Tea only\n"],
    ["an exception", "/throws", {}, 500, "Something went wrong on the server\n"],
    ["a path without a controller", "/nowhere", {}, 404, "There is nothing at this path\n"],
    ["a path with a bad percent-encoding", "/%zz", {}, 400, "The path has a bad percent-encoding\n"],
    ["another method", "/json", { method: "DELETE" }, 405, "DELETE is not possible here\n"],
    ["OPTIONS", "/json", { method: "OPTIONS" }, 204, ""],
    ["a WebSocket's path", "/ws", {}, 426, "This is a WebSocket: connect with a WebSocket client\n"],
    [
      "a body that is too large",
      "/json",
      { method: "POST", body: "x".repeat(101) },
      413,
      "The body is larger than 100 bytes\n",
    ],
    ["a body that is no JSON", "/json", { method: "POST", body: "{" }, 400, "The body is not valid JSON\n"],
  ])("responds as over the wire: %s", async (_name, path, init, status, body) => {
    const response = await (await site()).inject(request(path, init));
    expect(response).toBeInstanceOf(Response);
    expect([response.status, await response.text()]).toEqual([status, body]);
    if (status === 405 || init.method === "OPTIONS") expect(response.headers.get("allow")).toBe("POST, OPTIONS");
    if (status === 418) expect(response.headers.get("x-pot")).toBe("small");
  });

  test("gives each cookie of its response a header of its own", async () => {
    const response = await (await site()).inject(request("/cookies"));
    expect(response.headers.getSetCookie()).toEqual(["a=1", "b=2"]);
  });

  test("gives a body that fails when its stream fails", async () => {
    const response = await (await site()).inject(request("/broken"));
    await expect(response.text()).rejects.toThrow("dried up");
  });
});
