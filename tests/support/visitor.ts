/** Clients that send what they like and leave when they like, over TCP or TLS. */

import { connect, type Socket } from "node:net";
import { Duplex } from "node:stream";
import { setImmediate as nextTurn } from "node:timers/promises";
import { connect as connectTls } from "node:tls";

export interface Visit {
  readonly port: number;
  /** The certificate of the server, when the visitor speaks TLS. */
  readonly ca?: string | undefined;
  /** What the visitor sends: each in a write and a turn of its own. */
  readonly writes: readonly Uint8Array[];
  /** A reset; the end of the visitor's side, after which it reads until the server ends too; or `destroy`. */
  readonly leave: "reset" | "end" | "destroy";
  /**
   * "at once" is as soon as the system has taken what was sent. "answer" is the first byte of an answer, for which the
   * visitor waits only a moment. A RegExp is when all that was received matches. A number is so many milliseconds after
   * the last write.
   */
  readonly when: "at once" | "answer" | RegExp | number;
}

/** How a visit went. */
export interface Visited {
  /** What the server sent, read as Latin-1. */
  readonly received: string;
  /** Whether the connection is over. False when the visitor has ended its side and the server has not ended its own. */
  readonly isOver: boolean;
}

/** A visitor that waits for any answer leaves after this time: to some requests there is none. */
const ANSWER_MS = 100;

/** A visitor that waits for a certain answer leaves after this time. */
const MATCH_MS = 10_000;

/** A server that has not ended its side after this time counts as one that never does. */
const OVER_MS = 6_000;

/** Opens a connection, sends, and leaves. */
export async function visit({ port, ca, writes, leave, when }: Visit): Promise<Visited> {
  const tcp = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  const stream: Duplex = ca === undefined ? tcp : secure(tcp, ca);
  const ready = Promise.withResolvers<void>();
  const answered = Promise.withResolvers<void>();
  const over = Promise.withResolvers<void>();
  const pattern = when instanceof RegExp ? when : undefined;
  let received = "";
  let isOver = false;
  tcp.on("error", ignore).on("close", () => {
    isOver = true;
    for (const each of [ready, answered, over]) each.resolve();
  });
  stream.on("error", () => void tcp.destroy());
  stream.on(ca === undefined ? "connect" : "secureConnect", ready.resolve);
  stream.on("data", (bytes: Buffer) => {
    received += bytes.toString("latin1");
    if (pattern?.test(received) !== false) answered.resolve();
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
  else if (when !== "at once") await withinMs(answered.promise, pattern === undefined ? ANSWER_MS : MATCH_MS);
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
 * TLS over a stream in between, and not over the connection itself: once TLS has taken over the connection,
 * `resetAndDestroy` sends no reset on Deno.
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
  return connectTls({ socket: between, servername: "localhost", ca });
}

async function withinMs(event: Promise<void>, timeoutMs: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timeout = setTimeout(resolve, timeoutMs);
  await Promise.race([event, promise]);
  clearTimeout(timeout);
}
