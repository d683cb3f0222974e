/** A client that sends any bytes over TCP or TLS, and leaves in any way and at any moment. */

import { connect, type Socket } from "node:net";
import { Duplex } from "node:stream";
import { setImmediate as nextTurn } from "node:timers/promises";
import { connect as connectTls } from "node:tls";
import { trusting } from "./certificate.ts";

/** A plan of one visit. */
export interface Visit {
  readonly port: number;
  /** The certificate of the server. Undefined when the visitor speaks TCP only. */
  readonly ca?: string | undefined;
  /** The bytes that the visitor sends, each item in a write and a turn of its own. */
  readonly writes: readonly Uint8Array[];
  /**
   * How the visitor leaves: by a reset, by ending its side and reading until the server ends its own, or by `destroy`.
   */
  readonly leave: "reset" | "end" | "destroy";
  /**
   * When the visitor leaves. "at once" is as soon as the operating system has taken the bytes. "response" is at the
   * first byte of a response, for which the visitor waits only a moment. A RegExp is when the received text matches. A
   * number is so many milliseconds after the last write.
   */
  readonly when: "at once" | "response" | RegExp | number;
}

/** The result of a visit. */
export interface Visited {
  /** The bytes that the server has sent, read as Latin-1. */
  readonly received: string;
  /**
   * True when the connection is over. False when the visitor has ended its side and the server has not ended its own.
   */
  readonly isOver: boolean;
}

/** A visitor that waits for any response leaves after this time: some requests get none. */
const RESPONSE_MS = 100;

/** A visitor that waits for a certain response leaves after this time. */
const MATCH_MS = 10_000;

/**
 * A server that has not ended its side after this time counts as one that never does. A busy machine stalls for
 * seconds.
 */
const OVER_MS = 15_000;

/** Opens a connection, sends the bytes, leaves, and tells what has come back. */
export async function visit({ port, ca, writes, leave, when }: Visit): Promise<Visited> {
  const tcp = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  const stream: Duplex = ca === undefined ? tcp : secure(tcp, ca);
  const ready = Promise.withResolvers<void>();
  const responded = Promise.withResolvers<void>();
  const over = Promise.withResolvers<void>();
  const pattern = when instanceof RegExp ? when : undefined;
  let received = "";
  let isOver = false;
  tcp.on("error", ignore).on("close", () => {
    isOver = true;
    for (const each of [ready, responded, over]) each.resolve();
  });
  stream.on("error", () => void tcp.destroy());
  stream.on(ca === undefined ? "connect" : "secureConnect", ready.resolve);
  stream.on("data", (bytes: Buffer) => {
    received += bytes.toString("latin1");
    if (pattern?.test(received) !== false) responded.resolve();
  });
  await ready.promise;
  for (const [index, bytes] of writes.entries()) {
    if (isOver || !stream.writable) break;
    if (index > 0) await nextTurn();
    const written = Promise.withResolvers<void>();
    stream.write(bytes, () => written.resolve());
    await Promise.race([written.promise, over.promise]);
  }
  if (typeof when === "number") await withinMs(over.promise, when);
  else if (when !== "at once") await withinMs(responded.promise, pattern === undefined ? RESPONSE_MS : MATCH_MS);
  if (leave === "reset") tcp.resetAndDestroy();
  else if (leave === "destroy") tcp.destroy();
  else stream.end();
  if (!isOver) await withinMs(over.promise, OVER_MS);
  const result: Visited = { received, isOver };
  tcp.destroy();
  stream.destroy();
  return result;
}

function ignore(): void {}

/**
 * Speaks TLS over a stream between it and the connection, not over the connection itself: once TLS has taken over a
 * connection, its `resetAndDestroy` sends no reset on Deno.
 */
function secure(tcp: Socket, ca: string): Duplex {
  const between = new Duplex({
    read: () => void tcp.resume(),
    write: (bytes, _encoding, done) => {
      if (tcp.writable) tcp.write(bytes, () => done());
      else done();
    },
    final: (done) => void tcp.end(() => done()),
    destroy: (error, done) => {
      tcp.destroy();
      done(error);
    },
  });
  between.on("error", ignore);
  tcp.on("data", (bytes) => void (between.push(bytes) || tcp.pause()));
  tcp.on("end", () => void between.push(null));
  tcp.on("close", () => void between.destroy());
  return connectTls({ socket: between, servername: "localhost", secureContext: trusting(ca) });
}

/** Waits for an event, but no longer than `timeoutMs`. */
async function withinMs(event: Promise<void>, timeoutMs: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timeout = setTimeout(resolve, timeoutMs);
  await Promise.race([event, promise]);
  clearTimeout(timeout);
}
