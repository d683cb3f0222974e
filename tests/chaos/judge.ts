/** Compares what both ends of the connections have seen, and says what should not be so. */

import { clientLabel } from "./messages.ts";
import type { ConnectionPlan } from "./plan.ts";
import type { ClientRecord, CloseEvent, ServerRecord, ServerReport } from "./records.ts";

/** One connection, as it was planned and as its two ends have seen it. */
export interface Case {
  readonly plan: Pick<ConnectionPlan, "id">;
  readonly client: ClientRecord;
  /** The server may have several sockets by mistake, or none because the handshake did not succeed. */
  readonly server: readonly ServerRecord[];
  /** True when nobody has broken the connection: the road has held, and the process was not killed. */
  readonly isUndisturbed: boolean;
  /** True when the app has closed while the client was there, so that the handshake may have been refused. */
  readonly isLast: boolean;
}

/** The code that `app.close` sends. */
const GOING_AWAY = 1001;
/** The code of a connection without a closing handshake. */
const ABNORMAL = 1006;

/** The faults of one connection, in words. */
export function faultsOf(each: Case): string[] {
  const { plan: { id }, client, server } = each;
  if (server.length === 0) {
    const faults = client.isOpened ? ["its handshake was accepted, and no handler was called"] : handshakeFaults(each);
    return faults.map((fault) => `connection ${id}: ${fault}`);
  }
  const [socket] = server as [ServerRecord];
  const faults: string[] = socket.errors.map((error) => `the socket emitted the error ${error}`);
  if (server.length > 1) faults.push(`its handler was called ${server.length} times`);
  if (socket.closes.length !== 1) {
    faults.push(`the socket emitted close ${socket.closes.length} times: ${JSON.stringify(socket.closes)}`);
  } else faults.push(...closeFaults(each, socket, socket.closes[0]!));
  faults.push(...messageFaults(each, socket));
  return faults.map((fault) => `connection ${id}: ${fault}`);
}

function handshakeFaults({ client, isUndisturbed, isLast }: Case): string[] {
  if (!isUndisturbed || isLast) return [];
  return [`its handshake has failed, though nobody has broken it: ${client.failure ?? "without a word"}`];
}

/** Nothing is lost, doubled, reordered or changed. Only the end may be missing, and only where no Close has come. */
function messageFaults({ client }: Case, socket: ServerRecord): string[] {
  const sent = Array.from({ length: client.sent }, (_, n) => clientLabel(client.id, n));
  const hasClientsClose = socket.closes[0]?.wasClean === true;
  const hasServersClose = client.code !== undefined && client.code !== ABNORMAL;
  return [
    ...runFaults("client to server", sent, socket.received, hasClientsClose),
    ...runFaults("server to client", socket.sent, client.received, hasServersClose),
  ];
}

function runFaults(way: string, sent: readonly string[], received: readonly string[], isWhole: boolean): string[] {
  const at = received.findIndex((label, n) => label !== sent[n]);
  if (at >= 0) {
    const had = sent.indexOf(received[at]!);
    const kind = had < 0 ? "was never sent" : had < at ? "has come before" : `has come in front of ${had - at} others`;
    return [`${way}: message ${at} is not "${sent[at] ?? "the end"}" but "${received[at]}", which ${kind}`];
  }
  if (!isWhole || received.length === sent.length) return [];
  return [`${way}: ${sent.length - received.length} of ${sent.length} messages are missing in front of the Close`];
}

function closeFaults(each: Case, socket: ServerRecord, close: CloseEvent): string[] {
  const { client, isUndisturbed } = each;
  const faults: string[] = [];
  // The client's Close has the client's own code, or it is the answer to the server's Close and has that code.
  const code = close.wasClean ? client.closing ?? socket.closing ?? GOING_AWAY : ABNORMAL;
  if (close.code !== code) faults.push(`the server's close event was ${JSON.stringify(close)} instead of ${code}`);
  if (!close.wasClean && close.reason !== "") faults.push(`an unclean end had the reason "${close.reason}"`);
  if (close.code === GOING_AWAY && socket.closing === undefined && !close.isAppClosing) {
    faults.push("1001 came before the app closed");
  }
  const hasServersClose = client.code !== undefined && client.code !== ABNORMAL;
  const sides = [client.closing, socket.closing ?? GOING_AWAY];
  if (hasServersClose && !sides.includes(client.code)) {
    faults.push(`the client's close event was ${client.code} instead of ${sides.join(" or ")}`);
  }
  if (!isUndisturbed || client.isTerminated) return faults;
  if (!client.isOpened) {
    if (!each.isLast) faults.push(`the client has no handshake: ${client.failure ?? "without a word"}`);
    return faults;
  }
  if (!hasServersClose) {
    faults.push(`the client got no Close (${client.code}), though nobody has broken the connection`);
  }
  if (!close.wasClean) {
    faults.push("the server says that the end was not clean, though nobody has broken the connection");
  }
  return faults;
}

/** How much longer than its time-out `app.close` may take. */
const SLACK_MS = 10_000;
/**
 * How long the process may still run after that. When somebody else's server speaks TLS on Bun, a connection on which
 * TLS never begins cannot be ended by the program, and Bun itself ends it after 10 s.
 */
const EXIT_MS = 15_000;

/**
 * The faults of the whole server: what is left of its connections, and what `app.close` has said of them.
 *
 * @param closeMs the time-out of `app.close`
 */
export function serverFaults(report: ServerReport, closeMs: number): string[] {
  const { records, state, result, complaints, closingMs, exitingMs } = report;
  const faults = [...complaints];
  if (closingMs > closeMs + SLACK_MS) faults.push(`app.close took ${closingMs} ms`);
  if (exitingMs > EXIT_MS) faults.push(`something has kept the process alive for ${exitingMs} ms after app.close`);
  for (const name of ["sockets", "connections", "topics", "busy"] as const) {
    if (state[name] !== 0) faults.push(`at the end of the process there are still ${state[name]} ${name}`);
  }
  const last = records.flatMap(({ closes }) => closes.filter(({ isAppClosing }) => isAppClosing));
  const closed = last.filter(({ wasClean }) => wasClean).length;
  const expected = { closed, terminated: last.length - closed };
  if (result === undefined) faults.push("app.close has not resolved");
  else if (result.closed !== expected.closed || result.terminated !== expected.terminated) {
    faults.push(`app.close says ${JSON.stringify(result)}, and the close events say ${JSON.stringify(expected)}`);
  }
  return faults;
}
