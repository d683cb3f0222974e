/**
 * The channels of `node:diagnostics_channel` that tell of WebSockets. Tracers and loggers listen there without a change
 * of the application. While nobody listens, a channel costs the read of a property.
 */
import { type Channel, channel, type TracingChannel, tracingChannel } from "node:diagnostics_channel";
import type { IncomingMessage } from "node:http";
import type { HandshakeAttempt } from "../../transport/handshake-attempt.ts";
import type { AppRequest } from "../http/request.ts";
import type { Socket } from "./socket.ts";

/**
 * The messages of the channels of `node:diagnostics_channel` on which an app tells of its WebSockets, by the names of
 * the channels. All apps of a process use the same ones.
 *
 * On `spacenode:open` and `spacenode:message`, a message is published in front of the call of the handler or of the
 * listeners. These run inside of `runStores` of the channel: an `AsyncLocalStorage` that is bound to the channel with
 * `bindStore` has its value there.
 *
 * @example
 * ```ts
 * import { channel } from "node:diagnostics_channel";
 * import type { DiagnosticsMessages } from "@spacenode/spacenode";
 *
 * channel("spacenode:close").subscribe((message) => {
 *   const { socket, code } = message as DiagnosticsMessages["spacenode:close"];
 *   console.log(socket.remoteAddress, code);
 * });
 * ```
 */
export interface DiagnosticsMessages {
  /**
   * The tracing channel of opening handshakes: `tracingChannel("spacenode:handshake")`. Each handshake has the events
   * `start`, `end` when the first part of the work is done, and `asyncStart` and `asyncEnd` when the handshake has its
   * response or is given up; in between `error`, if it was refused with an error.
   */
  "spacenode:handshake": HandshakeTrace;
  /** A socket is open, and its handler is about to be called. */
  "spacenode:open": {
    readonly socket: Socket;
    readonly request: AppRequest;
    /** The path of the route, as it was given to {@link App.ws}. */
    readonly route: string;
  };
  /** A message has come, and is about to be handed to the listeners. A subscriber must not change the data. */
  "spacenode:message": { readonly socket: Socket; readonly data: string | Uint8Array; readonly isBinary: boolean };
  /** A connection has ended. The rest is that of the socket's event `close`. */
  "spacenode:close": {
    readonly socket: Socket;
    readonly code: number;
    readonly reason: string;
    readonly wasClean: boolean;
  };
  /** The client has broken a rule, or the handler or a listener has thrown, as the socket's event `error` tells. */
  "spacenode:error": { readonly socket: Socket; readonly error: Error };
}

/**
 * The message of the tracing channel `spacenode:handshake`. It is the same object at each event of one handshake, so a
 * subscriber can keep something for it in a `WeakMap`.
 */
export interface HandshakeTrace {
  /** The request, as `node:http` has read it. */
  readonly request: IncomingMessage;
  /** The path of the route, as it was given to {@link App.ws}. Undefined until the route is found. */
  route: string | undefined;
  /**
   * The status of the response: 101 if the handshake was accepted. Undefined until then, and at the end if the app has
   * given no response, because the client had gone or the time was over.
   */
  status: number | undefined;
  /** The error with which the handshake was refused, from the event `error` on. */
  error?: unknown;
}

const handshakes: TracingChannel<HandshakeTrace> = tracingChannel("spacenode:handshake");
export const openings: Channel<DiagnosticsMessages["spacenode:open"]> = named("spacenode:open");
export const messages: Channel<DiagnosticsMessages["spacenode:message"]> = named("spacenode:message");
export const closings: Channel<DiagnosticsMessages["spacenode:close"]> = named("spacenode:close");
export const errors: Channel<DiagnosticsMessages["spacenode:error"]> = named("spacenode:error");

/** The channel of a name. Deno's types of `channel` leave its messages unknown, and those of Node fit the cast too. */
function named<Name extends keyof DiagnosticsMessages>(name: Name): Channel<DiagnosticsMessages[Name]> {
  return channel(name) as Channel<DiagnosticsMessages[Name]>;
}

/**
 * Runs the work of a handshake, and publishes its events if somebody listens to one of them.
 *
 * @param work gets the trace, of which it sets the route; undefined if nobody listens
 */
export function traceHandshake(attempt: HandshakeAttempt, work: (trace: HandshakeTrace | undefined) => void): void {
  const { start, end, asyncStart, asyncEnd, error } = handshakes;
  // Bun's tracing channel has no `hasSubscribers` of its own.
  if (![start, end, asyncStart, asyncEnd, error].some(({ hasSubscribers }) => hasSubscribers)) return work(undefined);
  const { message: request, raw } = attempt;
  const trace: HandshakeTrace = { request, route: undefined, status: undefined };
  const finish = (status?: number, cause?: unknown): void => {
    raw.off("close", onGone);
    attempt.onDone = undefined;
    trace.status = status;
    if (cause !== undefined) {
      trace.error = cause;
      error.publish(trace);
    }
    asyncStart.publish(trace);
    asyncEnd.publish(trace);
  };
  const onGone = (): void => finish();
  // The deadline of the handshake does not tell the attempt that the connection is gone.
  raw.on("close", onGone);
  attempt.onDone = finish;
  start.runStores(trace, () => work(trace));
  end.publish(trace);
}
