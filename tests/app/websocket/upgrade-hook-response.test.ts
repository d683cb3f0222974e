/**
 * The contents of the 101 response: the subprotocol, and the headers that a hook adds. Besides, the limits that a route
 * has for itself.
 */

import { describe, expect, test } from "vitest";
import type { Socket } from "../../../mod.ts";
import { connectTo, eventOf, listeningApp, recordingLogger } from "../../support/app.ts";
import { close, text } from "../../support/frames.ts";
import { headerOf, statusOf } from "../../support/raw-client.ts";
import { appWith, bodyOf, handshake, type Headers, type Hook } from "../../support/upgrade-hook.ts";

describe("subprotocols", () => {
  const offer = (...names: string[]): Headers => ({ "Sec-WebSocket-Protocol": names.join(", ") });

  test.each<[string, string[], string[], string]>([
    ["the first one of the server that the client offers is chosen", ["v3", "v2", "v1"], ["v1", "v2"], "v2"],
    ["the list of the client may be long", ["v1"], ["a", "b", "v2", "v1", "v3"], "v1"],
    ["a client that offers none is accepted without a subprotocol", ["v2", "v1"], [], ""],
    ["a route that speaks none ignores the offer", [], ["v1"], ""],
  ])("%s", async (_name, subprotocols, offered, expected) => {
    const app = await listeningApp(
      {},
      (app) => app.ws("/", { subprotocols }, (socket) => void socket.send(socket.protocol)),
    );
    const client = await connectTo(app, { headers: offered.length > 0 ? offer(...offered) : {} });
    expect(headerOf(client.response, "Sec-WebSocket-Protocol") ?? "").toBe(expected);
    expect(await client.nextMessage()).toBe(expected);
  });

  test("none in common is a 400 that lists those of the server", async () => {
    const app = await listeningApp({}, (app) => app.ws("/", { subprotocols: ["v2.chat", "v1.chat"] }, () => {}));
    const response = await handshake(app, offer("v3.chat", "V2.CHAT"));
    expect(statusOf(response)).toBe(400);
    expect(bodyOf(response)).toContain("v2.chat, v1.chat");
  });

  test("a hook sees the choice and the offer, and may choose another one or none", async () => {
    const seen: unknown[] = [];
    const choose = (subprotocol: string | undefined): Hook => (_req, _services, answer) => {
      seen.push([answer.subprotocol, answer.offered]);
      answer.subprotocol = subprotocol;
      return "let in";
    };
    for (const [choice, expected] of [["v1", "v1"], ["extra", "extra"], [undefined, ""]] as const) {
      const app = await appWith(choose(choice), {}, { subprotocols: ["v2", "v1"] });
      const client = await connectTo(app, { headers: offer("v1", "v2", "extra") });
      expect(headerOf(client.response, "Sec-WebSocket-Protocol") ?? "").toBe(expected);
      expect(JSON.parse(await client.nextMessage() as string)).toEqual(["let in", expected]);
    }
    expect(seen).toEqual(Array(3).fill(["v2", ["v1", "v2", "extra"]]));
  });

  test.each<[string, Headers, string]>([
    ["the client offers others", offer("v1", "v2"), 'chose the subprotocol "v9"; the client offers v1, v2'],
    ["the client offers none", {}, 'chose the subprotocol "v9"; the client offers none'],
  ])(
    "a hook that chooses one that was not offered refuses with 500, and is logged: %s",
    async (_name, headers, message) => {
      const { logger, entries } = recordingLogger();
      const app = await appWith((_req, _services, answer) => void (answer.subprotocol = "v9"), { logger });
      const response = await handshake(app, headers);
      expect(statusOf(response)).toBe(500);
      expect(response).not.toContain("v9");
      expect(entries.map(({ args }) => String(args[0]))).toEqual([expect.stringContaining(message)]);
    },
  );
});

describe("headers of the 101", () => {
  const setting = (name: string, value: (path: string) => string): Hook => (req, _services, answer) => {
    answer.headers.append(name, value(req.query.get("name") ?? ""));
  };

  test("may be added, and cookies stay in lines of their own", async () => {
    const app = await appWith((_req, _services, { headers }) => {
      headers.set("X-Server", "grüße".normalize());
      headers.append("Set-Cookie", "sid=7; HttpOnly; SameSite=Strict");
      headers.append("Set-Cookie", "seen=1");
    });
    const { response } = await connectTo(app);
    expect(headerOf(response, "X-Server")).toBe("grüße");
    const cookies = response.match(/^set-cookie: .*$/gim)?.map((line) => line.slice(12));
    expect(cookies).toEqual(["sid=7; HttpOnly; SameSite=Strict", "seen=1"]);
  });

  test.each([
    "Upgrade",
    "Connection",
    "Content-Length",
    "Transfer-Encoding",
    "Sec-WebSocket-Accept",
    "Sec-WebSocket-Protocol",
    "Sec-WebSocket-Extensions",
    "sec-websocket-anything",
  ])("that belong to the handshake must not be set by a hook: %s is a 500, and logged", async (name) => {
    const { logger, entries } = recordingLogger();
    const response = await handshake(await appWith(setting(name, () => "7"), { logger }));
    expect(statusOf(response)).toBe(500);
    expect(entries.map(({ args }) => String(args[0]))).toEqual([
      expect.stringContaining(`set the header "${name.toLowerCase()}", which is the server's`),
    ]);
  });

  test.each<[string, string]>([
    ["CR and LF", "a%0D%0AX-Evil:%201"],
    ["LF", "a%0AX-Evil:%201"],
    ["CR", "a%0DX-Evil:%201"],
    ["NUL", "a%00X-Evil:%201"],
    ["a character that is not latin-1", "%E2%82%AC"],
  ])("never break out of their line: %s from the query is a 500", async (_name, name) => {
    const { logger, entries } = recordingLogger();
    const app = await appWith(setting("X-Name", (value) => value), { logger });
    const response = await handshake(app, {}, `/?name=${name}`);
    expect(statusOf(response)).toBe(500);
    expect(response).not.toContain("X-Evil");
    expect(entries.length).toBe(1);
    expect(statusOf(await handshake(app, { "Sec-WebSocket-Key": "" }))).toBe(400);
  });
});

describe("limits of a route", () => {
  test("apply instead of those of the app, on this route only", async () => {
    const app = await listeningApp({ maxMessageBytes: 100 }, (app) => {
      const echo = (socket: Socket): void => void socket.on("message", (data) => socket.send(data));
      return app.ws("/app", echo).ws("/small", { maxMessageBytes: 10 }, echo).ws(
        "/large",
        { maxMessageBytes: 1_000 },
        echo,
      );
    });
    for (const [path, limit] of [["/small", 10], ["/app", 100], ["/large", 1_000]] as const) {
      const client = await connectTo(app, path);
      client.send(text("x".repeat(limit)));
      expect(await client.nextMessage()).toBe("x".repeat(limit));
      client.send(text("x".repeat(limit + 1)));
      expect((await client.nextFrame()).payload.readUInt16BE(0), path).toBe(1009);
    }
  });

  test("include those of the bytes that wait to be sent", async () => {
    const sockets: Socket[] = [];
    const app = await listeningApp(
      {},
      (app) => app.ws("/", { highWaterMark: 10, maxBufferedBytes: 1_000_000 }, (socket) => void sockets.push(socket)),
    );
    const client = await connectTo(app);
    expect([sockets[0].send("x".repeat(8)), sockets[0].send("x")]).toEqual([true, false]);
    client.pause();
    const closed = eventOf(sockets[0], "close");
    while (sockets[0].readyState === sockets[0].OPEN) sockets[0].send("x".repeat(100_000));
    client.resume();
    client.send(close(1013));
    expect((await closed)[0]).toBe(1013);
  });
});
