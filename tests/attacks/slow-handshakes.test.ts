// Slow loris: handshakes that never become complete, and TCP connections that send nothing, are cut in time.

import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { echoServer, expectEcho } from "../support/echo-server.ts";
import { close, text } from "../support/frames.ts";
import { rawRequest, statusOf, upgradeRequest } from "../support/raw-client.ts";

describe("slow handshakes", () => {
  const server = echoServer({ handshakeTimeoutMs: 300 });

  async function cutAfterTimeout(responded: Promise<string>): Promise<void> {
    const before = performance.now();
    expect(await responded).toMatch(/^(HTTP\/1\.1 408 |$)/);
    expect(performance.now() - before).toBeGreaterThan(250);
    await expectEcho(server);
  }

  test("a TCP connection that sends nothing is cut after handshakeTimeoutMs", async () => {
    await cutAfterTimeout(rawRequest(server.port, ""));
  });

  test.each([
    ["a request line without an end", "GET / HT"],
    ["headers without an end", upgradeRequest().slice(0, -2)],
    ["one octet", "G"],
    ["an empty line", "\r\n"],
  ])("a connection with %s is cut", async (_name, request) => {
    await cutAfterTimeout(rawRequest(server.port, request));
  });

  test("a connection whose headers trickle in octet by octet is cut, too", async () => {
    await cutAfterTimeout(
      rawRequest(server.port, trickle("GET / HTTP/1.1\r\nHost: localhost\r\n", "X-Slow: slow\r\n")),
    );
  });

  test("a connection whose body trickles in behind a refused handshake is cut, too", async () => {
    const request = upgradeRequest("/", { "Content-Length": "1000000" });
    const before = performance.now();
    expect(statusOf(await rawRequest(server.port, trickle(request, "b")))).toBe(400);
    expect(performance.now() - before).toBeLessThan(4000);
    await expectEcho(server);
  });

  test("200 silent connections are cut, and no other connection waits for them", async () => {
    const silent = Array.from({ length: 200 }, () => rawRequest(server.port, ""));
    await expectEcho(server);
    expect(new Set(await Promise.all(silent)).size).toBeLessThanOrEqual(2);
    await expectEcho(server);
  });

  test("a connection whose handshake was accepted in time stays open", async () => {
    const { client, reported } = await server.connect();
    await rawRequest(server.port, "");
    client.send(text("still here"), close(1000));
    expect(await client.nextMessage()).toBe("still here");
    await client.closed();
    await reported;
  });
});

/** Yields one octet at a time, for longer than a server should wait. The writer stops once the connection is cut. */
async function* trickle(first: string, again: string): AsyncGenerator<Uint8Array> {
  for (const octet of Buffer.from(first)) yield Uint8Array.of(octet);
  for (const octet of Buffer.from(again.repeat(1000 / again.length))) {
    await delay(5);
    yield Uint8Array.of(octet);
  }
}
