/** What the clients of the soak ask of a server, and how often: ordinary traffic, sped up. */
import { Buffer } from "node:buffer";
import { constants, deflateRawSync } from "node:zlib";
import { maskedFrame, OPCODE } from "../load/frames.ts";

/** The faults that the soaked server can have on purpose. */
export type Leak = "sockets" | "memory" | "timers" | "listeners";
export const LEAKS: readonly Leak[] = ["sockets", "memory", "timers", "listeners"];

/** How large a soak is, and for how long it goes. */
export interface Plan {
  readonly idle: number;
  readonly busy: number;
  /** The time of the traffic. */
  readonly minutes: number;
  /** So many hours of ordinary traffic are sent in this time. */
  readonly hours: number;
  /** Handshakes at once, of which half are then cut at once. */
  readonly storm: number;
  readonly heartbeatMs: number;
}

/** What the load has received. */
export interface Counts {
  messages: number;
  pings: number;
}

/** What the load has done since its start. */
export interface Traffic extends Counts {
  sent: number;
  /** Connections that another one has replaced. */
  ended: number;
  /** Clients that did not read for a while. */
  bursts: number;
  /** Turns in which a connection sent nothing, because it still awaited its last reply. */
  late: number;
  /** Handshakes that failed, and connections that ended although nobody had asked for it. */
  faults: number;
  /** The first faults, in words. */
  reasons: string[];
}

/**
 * An ordinary hour: a busy connection sends a message every ten seconds and stays for ten minutes, an idle one stays
 * for the hour and answers Pings. A page asks for much more than it reads once in a while.
 */
export interface Rates {
  readonly messagesPerSecond: number;
  readonly busyEndsPerSecond: number;
  readonly idleEndsPerSecond: number;
  readonly burstsPerSecond: number;
  readonly broadcastsPerSecond: number;
}

export function ratesOf({ idle, busy, minutes, hours }: Plan): Rates {
  const speed = (60 * hours) / minutes;
  return {
    messagesPerSecond: (busy / 10) * speed,
    busyEndsPerSecond: (busy / 600) * speed,
    idleEndsPerSecond: (idle / 3600) * speed,
    burstsPerSecond: speed / 30,
    broadcastsPerSecond: speed / 90,
  };
}

/** The paths of the server: every tenth busy connection is compressed, every twentieth with a window of its own. */
export function pathOf(slot: number): { path: string; offer?: string } {
  if (slot % 20 === 5) return { path: "/window", offer: "permessage-deflate" };
  if (slot % 10 === 0) {
    return { path: "/packed", offer: "permessage-deflate; client_no_context_takeover; server_no_context_takeover" };
  }
  return { path: "/plain" };
}

/** The size of each message of a burst, which is too much for a client that does not read. */
export const BURST_BYTES: number = 16 * 1024;
/** The operating system takes the shorter burst; after the longer one the server closes the connection. */
export const BURSTS = [64, 1024];

/** A message that makes the server do something else than echo it. */
export function command(words: string): Buffer {
  return maskedFrame(OPCODE.text, Buffer.from(words));
}

const JSON_TEXT = JSON.stringify({ type: "position", list: Array.from({ length: 90 }, (_, index) => ({ id: index })) });
const TAIL_BYTES = 4;
const packed = deflateRawSync(JSON_TEXT, { finishFlush: constants.Z_SYNC_FLUSH }).subarray(0, -TAIL_BYTES);

const ECHOES = [32, 32, 32, 200, 32, 1000, 32, 16_000].map((bytes) =>
  maskedFrame(OPCODE.text, Buffer.alloc(bytes, "echo "))
);
const PACKED_ECHO = maskedFrame(OPCODE.text, packed, true);

/** Connections meet in this many topics at a time. */
const TOPICS = 100;
/** The names of the topics change after this many turns of a connection, so that each topic comes and goes. */
const TURNS_OF_TOPIC = 16;

/** What a busy connection sends in one of its turns: it joins a topic, speaks there, leaves it, and sends echoes. */
export function frameOf(slot: number, turn: number): Buffer {
  const topic = `t${slot % TOPICS}-${Math.floor(turn / TURNS_OF_TOPIC)}`;
  switch (turn % TURNS_OF_TOPIC) {
    case 1:
      return command(`join ${topic}`);
    case 4:
    case 8:
      return command(`say ${topic} ${"x".repeat(64)}`);
    case 12:
      return command(`leave ${topic}`);
  }
  if (pathOf(slot).offer && turn % 2 === 0) return PACKED_ECHO;
  return ECHOES[(slot + turn) % ECHOES.length];
}
