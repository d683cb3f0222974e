import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Socket as RawSocket } from "node:net";
import { limitsHeaders, pausesRequests, readsWhilePaused } from "../../platform.ts";
import { Deadlines } from "../../transport/timers/deadlines.ts";
import { destroyAfterWrites, writeRefusal } from "../../transport/handshake-response.ts";

/** Node stops counting headers here, and Deno hands out a request without the rest: what they said is not known. */
const MAX_HEADERS = 1_000;

/** A connection of which so many requests are being answered is not read any more, until no more than `RELEASE_AT` of them are left. */
const HOLD_FROM = 32;
const RELEASE_AT = 16;

/**
 * A connection of which more requests are being answered is cut. What the runtime has read already comes all the same after a pause: a part of 64 KiB on Node, which has some
 * 2,500 requests at most, but as much as the system has received on Deno.
 */
const MAX_ANSWERING = 4_096;

/**
 * What may come behind a handshake before it is answered, where the runtime reads on though nobody takes what it has read. RFC 6455 §4.1: a client sends nothing before it has
 * the answer. How often the guard looks decides how much more can come in between.
 */
const MAX_EARLY_BYTES = 1024 * 1024;
const LOOK_EVERY_MS = 20;

/** A connection's requests that are being answered: a client may send several at once. */
interface Answering {
  count: number;
  /** Pauses the connection again whenever somebody resumes it; undefined while it is read. */
  hold: (() => void) | undefined;
}

/**
 * Stands at the door, before any request is understood: each TCP connection gets an `error` listener in its first moment, and a deadline by
 * which it must have said what it wants.
 */
export class HandshakeGuard {
  readonly #handshakes: Deadlines<RawSocket>;
  /** By peer, since nothing else connects a TLS socket to the one below it on all runtimes. */
  readonly #belowTls = new Map<string, RawSocket>();
  /** What had been written to a connection when its handshake arrived, where others may answer the handshake too. */
  readonly #writtenAtArrival = new WeakMap<RawSocket, number>();
  readonly #answering = new WeakMap<RawSocket, Answering>();

  /** What had been read when the time of a connection began that is read into memory without end. */
  readonly #bytesReadBefore = new WeakMap<RawSocket, number>();
  /** Runs while such a connection is watched. */
  #looking: ReturnType<typeof setInterval> | undefined;

  /** One for all, so that a connection costs no function of its own. */
  readonly #onClose: (this: RawSocket) => void;
  readonly #onEnd: (this: RawSocket) => void;

  constructor(handshakeTimeoutMs: number) {
    const forget = (raw: RawSocket): void => this.#handshakes.delete(raw);
    this.#onClose = function (): void {
      forget(this);
    };
    const onEnded = (raw: RawSocket): void => this.#boundAnswer(raw);
    this.#onEnd = function (): void {
      onEnded(this);
    };
    this.#handshakes = new Deadlines(handshakeTimeoutMs, (raw) => {
      if (!this.claim(raw)) return;
      // A refusal would land in the middle of the answer that the client does not read.
      if (this.isAnswering(raw)) return void raw.destroy();
      this.#refuse(raw, 408, `The handshake was not complete after ${handshakeTimeoutMs} ms`);
      if (!raw.destroyed) destroyAfterWrites(raw);
    });
  }

  /** Watches all connections of a server that is ours alone. Under TLS its `connection` events tell of what lies below. */
  protect(server: Server, isTls: boolean): void {
    server.on("connection", (raw: RawSocket) => isTls ? this.watchBelowTls(raw) : this.watch(raw));
    server.on("secureConnection", (raw: RawSocket) => this.watch(raw));
    server.on("request", (_request: IncomingMessage, response: ServerResponse) => this.#awaitNext(response));
    server.on("clientError", (error: NodeJS.ErrnoException, raw: RawSocket) => {
      refuseGarbage(error, raw);
      this.#boundAnswer(raw);
    });
  }

  /** Watches one connection. If TLS has just begun on it, it takes the place of the socket below. */
  watch(raw: RawSocket): void {
    if (this.#belowTls.size > 0) this.#takeOver(peerOf(raw));
    raw.on("error", ignore);
    raw.on("close", this.#onClose);
    raw.on("end", this.#onEnd);
    this.#expect(raw);
  }

  /**
   * Watches the stream that a server of ours hands out for a handshake. Node 26 makes a stream of its own over the watched
   * connection when the handshake has a body; each of the two reports a reset.
   */
  watchUpgrade(message: IncomingMessage, raw: RawSocket): void {
    if (raw === message.socket) return;
    raw.on("error", ignore);
    message.on("error", ignore);
  }

  /**
   * Notes a handshake that came in by somebody else's server, before any other listener of that server can answer the
   * handshake.
   */
  noteArrival(raw: RawSocket): void {
    if (this.#writtenAtArrival.has(raw)) return;
    raw.on("error", ignore);
    this.#writtenAtArrival.set(raw, bytesWrittenTo(raw));
  }

  /** Counts a request of somebody else's server for as long as that request is being answered. */
  noteRequest(response: ServerResponse): void {
    const answering = this.#answeringOf(response.req.socket);
    answering.count++;
    response.once("close", () => answering.count--);
  }

  /** Whether another listener has written to the connection since the handshake arrived. */
  isAnsweredByOther(raw: RawSocket): boolean {
    const before = this.#writtenAtArrival.get(raw);
    return before !== undefined && bytesWrittenTo(raw) > before;
  }

  /**
   * Claims the answer to a handshake for us, just before the answer is written. Gives false when another listener has
   * answered: the connection belongs to that listener then, and has no deadline here.
   */
  claim(raw: RawSocket): boolean {
    if (this.isAnsweredByOther(raw)) {
      this.pass(raw);
      return false;
    }
    this.#writtenAtArrival.delete(raw);
    return true;
  }

  /** Watches a connection on which TLS has still to begin. */
  watchBelowTls(raw: RawSocket): void {
    const peer = peerOf(raw);
    this.watch(raw);
    this.#belowTls.set(peer, raw);
    raw.once("close", () => this.#belowTls.get(peer) === raw && this.#belowTls.delete(peer));
  }

  /** The handshake on this connection has succeeded: it has no deadline any more. */
  pass(raw: RawSocket): void {
    this.#handshakes.delete(raw);
    raw.off("close", this.#onClose);
    raw.off("end", this.#onEnd);
  }

  /** Whether a request on this connection has still to be answered. */
  isAnswering(raw: RawSocket): boolean {
    return (this.#answering.get(raw)?.count ?? 0) > 0;
  }

  /** The server is going away: who has not said yet what it wants is told so. */
  refuseAll(): void {
    for (const raw of this.#handshakes) {
      if (raw.writable && this.claim(raw)) this.#refuse(raw, 503, "The server is going away");
    }
  }

  /** Cuts everybody who is still watched. */
  cutAll(): void {
    for (const raw of this.#handshakes) if (this.claim(raw)) raw.destroy();
  }

  /** Stops the clock. */
  stop(): void {
    this.#handshakes.clear();
    this.#stopLooking();
  }

  /** The time begins in which a connection has to say what it wants. */
  #expect(raw: RawSocket): void {
    this.#handshakes.add(raw);
    if (!readsWhilePaused(raw)) return;
    this.#bytesReadBefore.set(raw, raw.bytesRead);
    this.#looking ??= setInterval(() => this.#look(), LOOK_EVERY_MS).unref();
  }

  /** While an upgrade hook thinks, or services are made, nobody takes what comes. */
  #look(): void {
    for (const raw of this.#handshakes) {
      const earlyBytes = raw.bytesRead - (this.#bytesReadBefore.get(raw) ?? raw.bytesRead);
      // What comes behind a refusal is thrown away as it comes.
      if (earlyBytes > MAX_EARLY_BYTES && !raw.writableEnded) raw.destroy();
    }
    if (this.#handshakes.size === 0) this.#stopLooking();
  }

  #stopLooking(): void {
    clearInterval(this.#looking);
    this.#looking = undefined;
  }

  /** HTTP cannot be said to who has not begun to speak TLS. */
  #refuse(raw: RawSocket, status: number, message: string): void {
    if (this.#belowTls.get(peerOf(raw)) === raw) raw.destroy();
    else writeRefusal(raw, status, message);
  }

  #takeOver(peer: string): void {
    const below = this.#belowTls.get(peer);
    if (below === undefined) return;
    this.#belowTls.delete(peer);
    this.#handshakes.delete(below);
  }

  /**
   * The client sends no further request that could be answered, so the connection waits only for the client to read. A client that does not
   * read would otherwise keep the connection, and its answer, for as long as the client likes.
   */
  #boundAnswer(raw: RawSocket): void {
    if (this.isAnswering(raw) && !raw.destroyed) this.#handshakes.add(raw);
  }

  #answeringOf(raw: RawSocket): Answering {
    let answering = this.#answering.get(raw);
    if (answering === undefined) this.#answering.set(raw, answering = { count: 0, hold: undefined });
    return answering;
  }

  /** While requests are answered the time is ours; after the last of them the client has as long again to send the next. */
  #awaitNext(response: ServerResponse): void {
    const raw = response.req.socket;
    response.on("error", ignore);
    response.req.on("error", ignore);
    this.#handshakes.delete(raw);
    const its = this.#answeringOf(raw);
    its.count++;
    // Answers that nobody reads, or that take long, would pile up without end.
    if (its.count > MAX_ANSWERING) return void raw.destroy();
    if (its.count >= HOLD_FROM) hold(raw, its);
    response.once("close", () => {
      its.count--;
      if (its.count <= RELEASE_AT) release(raw, its);
      if (its.count === 0 && !raw.destroyed) this.#expect(raw);
    });
  }
}

/** Whether a request may have had more headers than it shows. */
export function hasTooManyHeaders(request: IncomingMessage): boolean {
  return !limitsHeaders && request.rawHeaders.length >= 2 * MAX_HEADERS;
}

/** A stream that is no socket counts no bytes. */
function bytesWrittenTo({ bytesWritten }: RawSocket): number {
  return bytesWritten ?? 0;
}

/** Stops reading a connection. The runtimes resume it by themselves, after each request that was read and each answer that has left. */
function hold(raw: RawSocket, answering: Answering): void {
  if (answering.hold !== undefined || !pausesRequests(raw)) return;
  answering.hold = () => void raw.pause();
  raw.on("resume", answering.hold);
  raw.pause();
}

/** Reads a connection again. */
function release(raw: RawSocket, answering: Answering): void {
  if (answering.hold === undefined) return;
  raw.off("resume", answering.hold);
  answering.hold = undefined;
  raw.resume();
}

function peerOf({ remoteAddress, remotePort }: RawSocket): string {
  return `${remoteAddress} ${remotePort}`;
}

/** A reset or a broken connection is not news: the `close` that follows says all there is. */
function ignore(): void {}

/** Answers what the HTTP parser has refused. */
function refuseGarbage(error: NodeJS.ErrnoException, raw: RawSocket): void {
  if (error.code === "ECONNRESET" || !raw.writable) return void raw.destroy();
  if (error.code === "HPE_HEADER_OVERFLOW") return writeRefusal(raw, 431, "The request headers are too large");
  if (error.code === "ERR_HTTP_REQUEST_TIMEOUT") return writeRefusal(raw, 408, "The request took too long");
  writeRefusal(raw, 400, "This is not a valid HTTP request");
}
