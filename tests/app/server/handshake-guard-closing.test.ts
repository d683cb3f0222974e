/** The guard when its server goes away, and errors of the streams that it watches. */

import { EventEmitter, once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { Socket } from "node:net";
import { text as textOf } from "node:stream/consumers";
import { describe, expect, onTestFinished, test } from "vitest";
import { HandshakeGuard } from "../../../src/app/server/handshake-guard.ts";
import { writeRefusal } from "../../../src/transport/handshake-response.ts";
import { until } from "../../support/app.ts";
import { guardedServer, open, respond, TIMEOUT_MS } from "../../support/guarded-server.ts";
import { statusOf, upgradeRequest } from "../../support/raw-client.ts";

describe("an error is not thrown at the process that is emitted by", () => {
  const message = (): IncomingMessage => Object.assign(new EventEmitter(), { socket: new Socket() }) as IncomingMessage;

  test.each<[string, (guard: HandshakeGuard) => EventEmitter[]]>([
    ["a connection", (guard) => {
      const raw = new Socket();
      guard.watch(raw);
      return [raw];
    }],
    ["a connection on which TLS has not begun", (guard) => {
      const raw = new Socket();
      guard.watchBelowTls(raw);
      return [raw];
    }],
    ["a connection with a handshake by somebody else's server", (guard) => {
      const handshake = message();
      guard.noteHandshake(handshake, handshake.socket);
      return [handshake.socket];
    }],
    ["a handshake with a body, and the stream that the runtime has made for it", (guard) => {
      const [handshake, raw] = [message(), new Socket()];
      guard.watchUpgrade(handshake, raw);
      return [handshake, raw];
    }],
    ["a request and its response", (guard) => {
      const server = createServer();
      guard.protect(server, false);
      const request = message();
      const response = Object.assign(new EventEmitter(), { req: request });
      server.emit("request", request, response);
      return [request, response];
    }],
  ])("%s", (_name, watched) => {
    const guard = new HandshakeGuard(TIMEOUT_MS);
    onTestFinished(() => guard.stop());
    for (const emitter of watched(guard)) {
      expect(() => emitter.emit("error", new Error("read ECONNRESET"))).not.toThrow();
    }
  });
});

describe("when the server goes away", () => {
  const request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

  test.each([
    ["GET / HT", /^HTTP\/1\.1 503 [^]+The server is going away\n$/],
    [request, /^HTTP\/1\.1 200 [^]+hello$/],
  ])(
    "a connection is refused if its first request is awaited, and ended if the next one is: %j",
    async (sent, received) => {
      const { server, guard, port } = await guardedServer(respond);
      const arrived = once(server, "connection");
      const client = open(port);
      let response = "";
      client.on("data", (bytes) => response += bytes);
      client.write(sent);
      await arrived;
      if (sent === request) await until(() => response.endsWith("hello"));
      const ended = once(client, "end");
      guard.close();
      await ended;
      expect(response).toMatch(received);
    },
  );

  test("a connection with a pending response gets the response, and is ended behind it", async () => {
    const held = Promise.withResolvers<ServerResponse>();
    const { guard, port } = await guardedServer((_request, response) => held.resolve(response));
    const client = open(port);
    client.write(request);
    const response = await held.promise;
    guard.close();
    response.end("late");
    expect(await textOf(client)).toMatch(/^HTTP\/1\.1 200 [^]+late$/);
  });

  test("a refusal that its client has still to read is not cut off", async () => {
    const { server, guard, port } = await guardedServer(respond, 60_000);
    const body = "x".repeat(30_000_000);
    const refused = new Promise<void>((resolve) => {
      server.on("upgrade", (_request, raw: Socket) => resolve(writeRefusal(raw, 403, body)));
    });
    const client = open(port);
    client.pause();
    client.write(upgradeRequest());
    await refused;
    guard.close();
    const response = await textOf(client);
    client.end();
    expect([statusOf(response), response.length - response.indexOf("\r\n\r\n") - 4]).toEqual([403, body.length + 1]);
  });

  test("terminateAll cuts a refused client that does not end its side, and no connection with a pending response", async () => {
    const held = Promise.withResolvers<ServerResponse>();
    const { server, guard, port } = await guardedServer((_request, response) => held.resolve(response));
    const raws: Socket[] = [];
    server.on("connection", (raw) => raws.push(raw));
    const refused = open(port);
    refused.write("GET");
    await until(() => raws.length === 1);
    const waiting = open(port);
    waiting.write(request);
    const response = await held.promise;
    const ended = once(refused.resume(), "end");
    guard.close();
    await ended;
    guard.terminateAll();
    expect(raws.map(({ destroyed }) => destroyed)).toEqual([true, false]);
    response.end("late");
    expect(await textOf(waiting)).toMatch(/late$/);
  });
});
