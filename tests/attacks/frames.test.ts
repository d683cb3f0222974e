// Attacks with frames. Many tests name the fault that such frames once caused in some WebSocket server.

import { describe, expect, test } from "vitest";
import { echoServer, expectEcho } from "../support/echo-server.ts";
import { binary, close, continuation, fragmented, opcodes, ping, pong, text } from "../support/frames.ts";
import { Census, usedBytes } from "../support/memory.ts";
import { Random } from "../support/random.ts";
import { rawRequest } from "../support/raw-client.ts";

const MiB = 1024 * 1024;
const more = { fin: false };

describe("random bytes", () => {
  const server = echoServer();
  const connections = 1000;
  const batch = 50;

  /**
   * Opens `count` connections that send the bytes of `bytesOf` in two pieces and then end. `census` counts the server's
   * sockets.
   */
  async function storm(count: number, bytesOf: () => Buffer, random: Random, census: Census): Promise<void> {
    for (let begun = 0; begun < count; begun += batch) {
      await Promise.all(Array.from({ length: batch }, async () => {
        const { client, socket, report, reported } = await server.connect();
        census.track(socket);
        const bytes = bytesOf();
        const cut = random.below(bytes.length);
        await client.sendApart([bytes.subarray(0, cut), bytes.subarray(cut)]);
        client.end();
        await client.closed();
        await reported;
        expect(report.closes).toHaveLength(1);
      }));
    }
  }

  test.each([
    ["1,000 connections of random bytes", (random: Random) => random.bytes(1 + random.below(2000))],
    ["1,000 connections of good frames with one wrong bit", (random: Random) => {
      const bytes = Buffer.concat([
        text("grüße"),
        ...fragmented(opcodes.text, ["a", "", "b".repeat(random.below(300))]),
        ping("p"),
        binary(random.bytes(random.below(200))),
        close(1000, "done"),
      ]);
      const at = random.below(bytes.length);
      bytes[at] ^= 1 << random.below(8);
      return bytes;
    }],
  ])("%s leave the server well, and nothing behind", async (_name, bytesOf) => {
    const random = new Random(0x5eed);
    const census = new Census();
    const listenersBefore = countProcessListeners();
    await storm(100, () => bytesOf(random), random, census);
    expect(await census.countBelow(5), "of the first 100 sockets").toBeLessThan(5);
    const before = await usedBytes();

    await storm(connections, () => bytesOf(random), random, census);

    expect(server.app.sockets.size).toBe(0);
    expect(await census.countBelow(10), "of 1,100 sockets").toBeLessThan(10);
    expect(countProcessListeners()).toBe(listenersBefore);
    // 2 KiB for each connection: a socket that is never freed takes several times that.
    expect(await usedBytes() - before).toBeLessThan(connections * 2048);
    await expectEcho(server);
  });

  test("1,000 connections that send random bytes instead of a handshake are refused or closed", async () => {
    const random = new Random(0xbad);
    for (let begun = 0; begun < connections; begun += batch) {
      await Promise.all(Array.from({ length: batch }, async () => {
        // No request begins with such a byte, so the response comes at once.
        const bytes = random.bytes(1 + random.below(2000));
        bytes[0] |= 0x80;
        expect(await rawRequest(server.port, bytes)).toMatch(/^(HTTP\/1\.1 400 |$)/);
      }));
    }
    await expectEcho(server);
  });
});

describe("sizes", () => {
  const server = echoServer();

  test("a header that announces too many bytes closes the connection (once accepted: CVE-2016-10542)", async () => {
    for (const payloadLength of [MiB + 1, 2 ** 31, 2 ** 40, 2 ** 52]) {
      const { client, reported } = await server.connect();
      client.send(binary("", { payloadLength }));
      expect((await client.closed()).code).toBe(1009);
      await reported;
    }
  });

  test("a length above 2^53 is not rounded (once it lost precision as a float: CVE-2026-54466)", async () => {
    for (const payloadLength of [2n ** 53n + 1n, 2n ** 54n + 3n, 2n ** 62n + 1n]) {
      const { client, reported } = await server.connect();
      client.send(text("first"), text("hello", { payloadLength }), text("second"));
      expect((await client.closed()).code).toBe(1009);
      expect(client.frames.map(({ payload }) => payload.toString())).not.toContain("second");
      await reported;
    }
  });

  test("a length with its top bit set fails the connection (once it crashed the server: CVE-2020-27813)", async () => {
    for (const payloadLength of [2n ** 63n, 2n ** 63n + 1n, 2n ** 64n - 1n, 2n ** 64n - 14n]) {
      const { client, reported } = await server.connect();
      client.send(binary("hello", { payloadLength }));
      expect((await client.closed()).code).toBe(1002);
      await reported;
    }
    await expectEcho(server);
  });

  test("200 messages that only announce 1 MiB take less than 32 KiB each (once the length took memory)", async () => {
    const before = await usedBytes();
    const all = await Promise.all(Array.from({ length: 200 }, () => server.connect()));
    for (const { client } of all) client.send(ping("here"), binary("x", { payloadLength: MiB }));
    // The Pong shows that the server has read the Ping, and the header behind it in the same turn or in the next.
    for (const { client } of all) await client.nextFrame();
    await expectEcho(server);
    expect(await usedBytes() - before).toBeLessThan(200 * 32 * 1024);
    for (const { client, reported } of all) {
      client.end();
      await client.closed();
      await reported;
    }
  });
});

describe("fragments", () => {
  const server = echoServer();
  const patient = echoServer({ maxFragments: 200_000 });
  const count = 131_000;

  test.each([["one byte", "x"], ["nothing", ""]])(
    "131,000 fragments of %s are closed with 1008 (once they took far more memory than bytes: CVE-2026-48779)",
    async (_name, payload) => {
      const { client, reported } = await server.connect();
      const fragment = continuation(payload, more);
      client.send(text(payload, more), Buffer.alloc(fragment.length * count, fragment));
      expect((await client.closed()).code).toBe(1008);
      await reported;
    },
  );

  test.each([["one byte", "x"], ["nothing", ""]])(
    "131,000 fragments of %s, where they are allowed, take less than 1 MiB until the message is complete",
    async (_name, payload) => {
      const { client, reported } = await patient.connect();
      const fragment = continuation(payload, more);
      const fragments = Buffer.alloc(fragment.length * (count - 2), fragment);
      const before = await usedBytes();
      client.send(text(payload, more), fragments, ping("read"));
      expect((await client.nextFrame()).opcode).toBe(opcodes.pong);
      expect(await usedBytes() - before).toBeLessThan(MiB);
      client.send(continuation(payload), close(1000));
      expect(await client.nextMessage()).toBe(payload.repeat(count));
      await client.closed();
      await reported;
    },
  );

  test("eight times as many fragments take less than 24 times as long (once they took quadratic time)", async () => {
    const fragment = continuation("f".repeat(64), more);
    const timeFor = async (fragments: number): Promise<number> => {
      const { client, reported } = await patient.connect();
      const bytes = Buffer.concat([
        binary("f", more),
        Buffer.alloc(fragment.length * (fragments - 2), fragment),
        continuation("!"),
      ]);
      const before = performance.now();
      client.send(bytes);
      await client.nextMessage();
      const elapsedMs = performance.now() - before;
      client.send(close(1000));
      await client.closed();
      await reported;
      return elapsedMs;
    };
    const fastest = async (fragments: number): Promise<number> =>
      Math.min(await timeFor(fragments), await timeFor(fragments), await timeFor(fragments));
    const few = await fastest(2000);
    // The 100 ms allow for pauses of the machine. Quadratic time would be 64 times as long.
    expect(await fastest(16_000)).toBeLessThan(24 * few + 100);
  });
});

describe("control frames", () => {
  const server = echoServer();

  test("20,000 Pings in one write are all answered, in order", async () => {
    const { client, reported } = await server.connect();
    client.send(Buffer.concat(Array.from({ length: 20_000 }, (_, i) => ping(`${i}`))), close(1000));
    await client.closed();
    await reported;
    const pongs = client.frames.filter(({ opcode }) => opcode === opcodes.pong).map(({ payload }) =>
      payload.toString()
    );
    expect(pongs).toEqual(Array.from({ length: 20_000 }, (_, i) => `${i}`));
  });

  test("20,000 Pongs and two empty messages in one write are accepted", async () => {
    const { client, reported } = await server.connect();
    client.send(
      Buffer.concat(Array.from({ length: 20_000 }, () => pong())),
      Buffer.concat([text(), binary()]),
      ping("end"),
    );
    expect(await client.nextMessage()).toBe("");
    expect(await client.nextMessage()).toEqual(Buffer.alloc(0));
    client.send(close(1000));
    expect((await client.closed()).code).toBe(1000);
    await reported;
  });

  test("a reserved close code becomes 1002, which close() takes (once it threw: socketcluster #146)", async () => {
    for (const code of [0, 1004, 1005, 1006, 1015, 65_535]) {
      const { client, report, reported, socket } = await server.connect();
      const bystander = await server.connect();
      // An application may well close other sockets with the code that its `close` event has given.
      socket.on("close", (reportedCode, reason) => bystander.socket.close(reportedCode, reason));
      client.send(close(code, "reserved"));
      expect((await client.closed()).code).toBe(1002);
      await reported;
      expect(report.closes).toMatchObject([{ code: 1002, wasClean: false }]);
      expect((await bystander.client.nextFrame()).payload.readUInt16BE(0)).toBe(1002);
      bystander.client.send(close(1002));
      await bystander.client.closed();
      await bystander.reported;
    }
    await expectEcho(server);
  });

  test("close() refuses 1006, which no Close may carry, when an application passes it on", async () => {
    const { client, reported, socket } = await server.connect();
    const bystander = await server.connect();
    const thrown = new Promise<unknown>((resolve) => {
      socket.on("close", (code) => {
        try {
          resolve(bystander.socket.close(code));
        } catch (error) {
          resolve(error);
        }
      });
    });
    client.reset();
    await reported;
    expect(await thrown).toBeInstanceOf(RangeError);
    bystander.client.send(text("unharmed"), close(1000));
    expect(await bystander.client.nextMessage()).toBe("unharmed");
    await bystander.client.closed();
    await bystander.reported;
  });
});

function countProcessListeners(): number {
  return process.eventNames().reduce((sum, name) => sum + process.listenerCount(name), 0);
}
