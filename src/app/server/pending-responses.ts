import type { ServerResponse } from "node:http";
import type { Socket as RawSocket } from "node:net";
import { pausesRequests } from "../../platform.ts";

/** A connection with this many pending responses is paused, until no more than `RESUME_AT` of them are left. */
const PAUSE_FROM = 32;
const RESUME_AT = 16;

/**
 * A connection with more pending responses than this is cut. A pause does not stop the requests that the runtime has
 * already read. On Node they lie in one chunk of 64 KiB, which holds some 2,500 requests at most. On Deno there are as
 * many of them as the operating system has received.
 */
const MAX_PENDING = 4_096;

/**
 * The responses of one connection that are not complete: a client may send several requests at once (RFC 9112 §9.3.2).
 */
interface Pipeline {
  pending: number;
  /** The `resume` listener that pauses the connection again. Undefined while the connection is not paused. */
  pauseAgain: (() => void) | undefined;
}

/** Counts, for each connection, the requests whose responses are not complete. */
export class PendingResponses {
  readonly #pipelines = new WeakMap<RawSocket, Pipeline>();
  /** The responses of this app's own server that are not complete, by connection. */
  readonly #own = new Map<RawSocket, Set<ServerResponse>>();

  /** Tells whether a response on this connection is not complete. */
  has(raw: RawSocket): boolean {
    return (this.#pipelines.get(raw)?.pending ?? 0) > 0;
  }

  /** Tells whether a connection has had a response, and has none that is not complete. */
  isIdle(raw: RawSocket): boolean {
    return this.#pipelines.get(raw)?.pending === 0;
  }

  /**
   * Cuts the connections of this app's own server whose responses have all begun, and are not complete. A request
   * without any response may belong to a controller that waits for the end of the app.
   *
   * @returns true if there was no such request
   */
  terminateBegun(): boolean {
    let hasOthers = false;
    for (const [raw, responses] of this.#own) {
      if ([...responses].every(({ headersSent }) => headersSent)) raw.destroy();
      else hasOthers = true;
    }
    return !hasOthers;
  }

  /** Counts a response of somebody else's server. This app must not pause or cut the connections of such a server. */
  count(response: ServerResponse): void {
    const pipeline = this.#pipelineOf(response.req.socket);
    pipeline.pending++;
    response.once("close", () => pipeline.pending--);
  }

  /**
   * Counts a response of this app's own server, and limits how many pending responses one connection may have. Without
   * a limit, responses that take long, or that the client does not read, could fill the memory.
   *
   * @param onIdle is called with the connection when none of its responses is pending any more
   */
  bound(response: ServerResponse, onIdle: (raw: RawSocket) => void): void {
    const raw = response.req.socket;
    const pipeline = this.#pipelineOf(raw);
    pipeline.pending++;
    if (pipeline.pending > MAX_PENDING) return void raw.destroy();
    if (pipeline.pending >= PAUSE_FROM) pauseReading(raw, pipeline);
    let responses = this.#own.get(raw);
    if (responses === undefined) this.#own.set(raw, responses = new Set());
    responses.add(response);
    response.once("close", () => {
      responses.delete(response);
      if (responses.size === 0) this.#own.delete(raw);
      pipeline.pending--;
      if (pipeline.pending <= RESUME_AT) resumeReading(raw, pipeline);
      if (pipeline.pending === 0 && !raw.destroyed) onIdle(raw);
    });
  }

  #pipelineOf(raw: RawSocket): Pipeline {
    let pipeline = this.#pipelines.get(raw);
    if (pipeline !== undefined) return pipeline;
    pipeline = { pending: 0, pauseAgain: undefined };
    this.#pipelines.set(raw, pipeline);
    raw.once("close", () => this.#endResponses(raw));
    return pipeline;
  }

  /**
   * Ends the responses of a connection that has closed. Deno and Node 22 report the end of the first one only. Those
   * behind it would be kept for ever, and their bodies would not be cancelled.
   */
  #endResponses(raw: RawSocket): void {
    for (const response of this.#own.get(raw) ?? []) {
      if (response.destroyed) continue;
      response.destroy();
      response.emit("close");
    }
    this.#own.delete(raw);
  }
}

/**
 * Pauses a connection for as long as `resumeReading` is not called. The runtimes resume a connection by themselves
 * after each request that was read and each response that was sent, so each `resume` event pauses the connection again.
 */
function pauseReading(raw: RawSocket, pipeline: Pipeline): void {
  if (pipeline.pauseAgain !== undefined || !pausesRequests(raw)) return;
  pipeline.pauseAgain = () => void raw.pause();
  raw.on("resume", pipeline.pauseAgain);
  raw.pause();
}

function resumeReading(raw: RawSocket, pipeline: Pipeline): void {
  if (pipeline.pauseAgain === undefined) return;
  raw.off("resume", pipeline.pauseAgain);
  pipeline.pauseAgain = undefined;
  raw.resume();
}
