// Slow loris: handshakes that never end, and TCP connections that say nothing.

import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { echoServer, expectEcho } from "../support/echo-server.ts";
import { close, text } from "../support/frames.ts";
import { rawRequest, statusOf, upgradeRequest } from "../support/raw-client.ts";

describe("slow handshakes", () => {
  const server = echoServer({ handshakeTimeoutMs: 300 });

  async function cutAfterTimeout(ended: Promise<string>): Promise<void> {
    const before = performance.now();
    expect(await ended).toMatch(/^(HTTP\/1\.1 408 |$)/);
    expect(performance.now() - before).toBeGreaterThan(250);
    await expectEcho(server);
  }

  test("a TCP connection that says nothing is cut after handshakeTimeoutMs", async () => {
    await cutAfterTimeout(rawRequest(server.port, ""));
  });

  test.each([
    ["a request line that does not end", "GET / HT"],
    ["headers that do not end", upgradeRequest().slice(0, -2)],
    ["one octet", "G"],
    ["an empty line", "\r\n"],
  ])("%s is cut", async (_name, request) => {
    await cutAfterTimeout(rawRequest(server.port, request));
  });

  test("headers that trickle in octet by octet are cut all the same", async () => {
    await cutAfterTimeout(
      rawRequest(server.port, trickle("GET / HTTP/1.1\r\nHost: localhost\r\n", "X-Slow: slow\r\n")),
    );
  });

  test("a body that trickles in behind a refused handshake is cut all the same", async () => {
    const request = upgradeRequest("/", { "Content-Length": "1000000" });
    const before = performance.now();
    expect(statusOf(await rawRequest(server.port, trickle(request, "b")))).toBe(400);
    expect(performance.now() - before).toBeLessThan(4000);
    await expectEcho(server);
  });

  test("200 silent connections are cut, and nobody waits for them", async () => {
    const silent = Array.from({ length: 200 }, () => rawRequest(server.port, ""));
    await expectEcho(server);
    expect(new Set(await Promise.all(silent)).size).toBeLessThanOrEqual(2);
    await expectEcho(server);
  });

  test("a connection that was accepted in time is left alone", async () => {
    const { client, reported } = await server.connect();
    await rawRequest(server.port, "");
    client.send(text("still here"), close(1000));
    expect(await client.nextMessage()).toBe("still here");
    await client.closed();
    await reported;
  });
});

/** Octets one after the other, for longer than anyone should wait; the writer stops when the server has cut the connection. */
async function* trickle(first: string, again: string): AsyncGenerator<Uint8Array> {
  for (const octet of Buffer.from(first)) yield Uint8Array.of(octet);
  for (const octet of Buffer.from(again.repeat(1000 / again.length))) {
    await delay(5);
    yield Uint8Array.of(octet);
  }
}
