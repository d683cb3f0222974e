import type { ServerResponse } from "node:http";
import type { Socket as RawSocket } from "node:net";
import { pausesRequests } from "../../platform.ts";

/** A connection with so many pending responses is not read any more, until no more than `RESUME_AT` of them are left. */
const PAUSE_FROM = 32;
const RESUME_AT = 16;

/**
 * A connection with more pending responses is cut. The requests that the runtime has read already still come after a
 * pause: on Node they lie in one chunk of 64 KiB, which holds some 2,500 requests at most. On Deno they are as many as
 * the operating system has received.
 */
const MAX_PENDING = 4_096;

/** The responses of one connection that are not complete: a client may send several requests at once (RFC 9112 §9.3.2). */
interface Pipeline {
  pending: number;
  /** Pauses the connection again whenever somebody resumes it. Undefined while the connection is read. */
  pauseAgain: (() => void) | undefined;
}

/** Counts, for each connection, the requests whose responses are not complete. */
export class PendingResponses {
  readonly #pipelines = new WeakMap<RawSocket, Pipeline>();

  /** Whether a response on this connection is not complete. */
  has(raw: RawSocket): boolean {
    return (this.#pipelines.get(raw)?.pending ?? 0) > 0;
  }

  /** Counts a response of somebody else's server, whose connections are not this app's to pause or cut. */
  count(response: ServerResponse): void {
    const pipeline = this.#pipelineOf(response.req.socket);
    pipeline.pending++;
    response.once("close", () => pipeline.pending--);
  }

  /**
   * Counts a response of this app's own server, and bounds how many of them one connection may have: responses that
   * take long, or that the client does not read, would otherwise pile up without end.
   *
   * @param onIdle is called with the connection when none of its responses is pending any more
   */
  bound(response: ServerResponse, onIdle: (raw: RawSocket) => void): void {
    const raw = response.req.socket;
    const pipeline = this.#pipelineOf(raw);
    pipeline.pending++;
    if (pipeline.pending > MAX_PENDING) return void raw.destroy();
    if (pipeline.pending >= PAUSE_FROM) pauseReading(raw, pipeline);
    response.once("close", () => {
      pipeline.pending--;
      if (pipeline.pending <= RESUME_AT) resumeReading(raw, pipeline);
      if (pipeline.pending === 0 && !raw.destroyed) onIdle(raw);
    });
  }

  #pipelineOf(raw: RawSocket): Pipeline {
    let pipeline = this.#pipelines.get(raw);
    if (pipeline === undefined) this.#pipelines.set(raw, pipeline = { pending: 0, pauseAgain: undefined });
    return pipeline;
  }
}

/** The runtimes resume a connection by themselves, after each request that was read and each response that has left. */
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
