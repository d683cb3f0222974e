import { text } from "node:stream/consumers";
import { expect, test } from "vitest";
import { MemorySocket } from "../../../src/app/inject/memory-socket.ts";
import { checkTarget, handshakeHeaders, makeRequest } from "../../../src/app/inject/request.ts";

test("a request has the members that node:http would have given it", async () => {
  const { server } = MemorySocket.pair();
  const headers = new Headers({ "X-Name": "value" });
  const request = makeRequest(server, "POST", "/path?x=1", headers, Buffer.from("the body"));
  expect(request).toMatchObject({ method: "POST", url: "/path?x=1", httpVersion: "1.1", complete: true });
  expect(request.headers).toEqual({ host: "localhost", "x-name": "value" });
  expect(request.socket).toBe(server);
  expect(await text(request)).toBe("the body");
});

test("a Host of the caller replaces localhost", () => {
  const { server } = MemorySocket.pair();
  const request = makeRequest(server, "GET", "/", new Headers({ Host: "mysite.com" }));
  expect(request.headers.host).toBe("mysite.com");
});

test("the headers of a handshake are complete, and the caller can add to them but not replace them", () => {
  const options = { headers: { Cookie: "sid=7", Upgrade: "h2c" }, subprotocols: ["v2", "v1"] };
  expect(Object.fromEntries(handshakeHeaders("the key", options))).toEqual({
    connection: "Upgrade",
    cookie: "sid=7",
    "sec-websocket-key": "the key",
    "sec-websocket-protocol": "v2, v1",
    "sec-websocket-version": "13",
    upgrade: "websocket",
  });
  expect(handshakeHeaders("the key", {}).has("sec-websocket-protocol")).toBe(false);
});

test("a target is a path or a Request", () => {
  for (const target of ["/", "/chat?x=1", new Request("http://localhost/")]) {
    expect(() => checkTarget(target)).not.toThrow();
  }
  for (const [target, shown] of [["chat", '"chat"'], ["", '""'], [undefined, "undefined"]]) {
    const message = `inject takes the path of a WebSocket, such as "/chat", or a Request; got ${shown}`;
    expect(() => checkTarget(target)).toThrow(new TypeError(message));
  }
});
