/** Cells of what applications do beside the plain echo and the plain fan-out. */
import { SOCKETS } from "../shared/topics.ts";
import { type Cell, idSize, KIB, sizeName } from "./cell.ts";

/** An echo that most cells here are a variation of. */
function echo(id: string, title: string, payloadBytes: number, inFlight: number): Cell {
  return {
    id,
    title,
    work: "echo",
    path: "/echo",
    payload: "binary",
    payloadBytes,
    connections: 50,
    inFlight,
    deflate: "off",
    quick: false,
    charts: "none",
  };
}

function overTls(payloadBytes: number, inFlight: number): Cell {
  const title = `echo binary ${sizeName(payloadBytes)} over TLS, ${inFlight} in flight`;
  return {
    ...echo(`tls-${idSize(payloadBytes)}-${inFlight}`, title, payloadBytes, inFlight),
    tls: true,
    quick: payloadBytes < KIB,
  };
}

function nonAscii(payloadBytes: number): Cell {
  const title = `echo text ${sizeName(payloadBytes)} without ASCII, 16 in flight`;
  const quick = payloadBytes === KIB;
  return {
    ...echo(`non-ascii-${idSize(payloadBytes)}-16`, title, payloadBytes, 16),
    path: "/text",
    payload: "non-ascii",
    quick,
  };
}

/** SpaceNode beside itself: its listener beside `for await`, a stream's reader and `pipeTo`. */
function read(payloadBytes: number): Cell {
  const title = `echo binary ${sizeName(payloadBytes)}, 16 in flight: events, loop and streams`;
  return { ...echo(`read-${idSize(payloadBytes)}-16`, title, payloadBytes, 16), path: "/read" };
}

/** SpaceNode beside itself: what was received is sent, as a proxy does, or a fresh buffer. */
function reply(payloadBytes: number, inFlight: number): Cell {
  const title = `echo binary ${sizeName(payloadBytes)}, ${inFlight} in flight: the received buffer or a fresh one`;
  return { ...echo(`reply-${idSize(payloadBytes)}-${inFlight}`, title, payloadBytes, inFlight), path: "/reply" };
}

/** SpaceNode beside itself: a route with schemas, plain code that does the same, and the text as it came. */
function typed(payloadBytes: number): Cell {
  const title = `echo JSON ${sizeName(payloadBytes)}, 16 in flight: with a schema, by hand and untyped`;
  return {
    ...echo(`typed-${idSize(payloadBytes)}-16`, title, payloadBytes, 16),
    path: "/typed",
    payload: "json",
  };
}

/** A chat: many connections with short messages, some long ones, and some clients on bad lines. */
const mixture: Cell = {
  ...echo("mixture", "echo JSON 200 B, 5 % of 4 KiB, 1,000 connections, 10 % of them slow", 200, 1),
  path: "/text",
  payload: "json",
  mixture: { largeEvery: 20, largeBytes: 4 * KIB, slowEvery: 10, slowMs: 50 },
  connections: 1_000,
  quick: true,
};

/** Publishing where most sockets are not meant: each is subscribed to 100 of 1,000 topics. */
const topics: Cell = {
  ...echo("topics", "publish to one of 1,000 topics with 100 sockets each, 1 in flight", 32, 1),
  work: "topics",
  path: "/topics",
  payload: "topic",
  connections: SOCKETS,
  quick: true,
};

/** SpaceNode beside itself: publishing in an app without histories, beside one, and into one. */
function history(inFlight: 1 | 16): Cell {
  const title = `fan-out 1 to 200, ${inFlight === 1 ? "1 in flight" : `bursts of ${inFlight}`}, publish and histories`;
  return {
    ...echo(`history-${inFlight}`, title, 32, inFlight),
    work: "fan",
    path: "/history",
    payload: "text",
    greeted: true,
    connections: 200,
  };
}

/**
 * A server that takes both cores and has to share one with the generator. The messages are compressed, because the
 * server's part of that is many times the generator's: the generator has compressed them before.
 */
function severalProcesses(processes: number): Cell {
  const count = processes === 1 ? "1 process" : `${processes} processes`;
  return {
    ...echo(`processes-${processes}`, `echo JSON 2 KiB, deflate, 4 in flight, ${count}, not pinned`, 2 * KIB, 4),
    path: "/text",
    payload: "json",
    deflate: "no-takeover",
    processes,
  };
}

export const practiceCells: readonly Cell[] = [
  overTls(32, 16),
  overTls(64 * KIB, 4),
  nonAscii(32),
  nonAscii(KIB),
  mixture,
  topics,
  read(32),
  read(KIB),
  reply(32, 16),
  reply(KIB, 16),
  reply(64 * KIB, 4),
  typed(200),
  typed(2 * KIB),
  history(1),
  history(16),
  severalProcesses(1),
  severalProcesses(2),
];
