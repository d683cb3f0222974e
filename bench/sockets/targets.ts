/**
 * The targets: how many times less CPU or time SpaceNode is to take than the best of some peers in the same run, and
 * how much more memory than the limit.
 */
import type { RuntimeName } from "../shared/machine.ts";
import { LIMIT, OURS } from "./peers.ts";

export interface Goal {
  runtime: RuntimeName;
  cell: string;
  against: string[];
  /** The least ratio of the peer's value to SpaceNode's. */
  atLeast: number;
  /** The value that is compared; by default the figure, which is server CPU or memory. */
  field?: "p50Ms" | "p99Ms";
  /** The cell in which the peer is measured, where it is not the cell of SpaceNode. */
  peerCell?: string;
  /** The most KiB by which SpaceNode may lie above the peer. Then `atLeast` does not count. */
  atMostAboveKiB?: number;
}

const WS = ["ws", "ws-addon"];
const WS_DEFLATE = ["ws-3", "ws-6"];
const NATIVE = ["native"];
const RUNTIMES: RuntimeName[] = ["node", "deno", "bun"];

/** A goal for the cell on each runtime that has a number. */
function goals(
  cell: string,
  against: Record<RuntimeName, string[]>,
  node: number | undefined,
  deno: number | undefined,
  bun: number | undefined,
  more: Partial<Goal> = {},
): Goal[] {
  const row: [RuntimeName, number | undefined][] = [["node", node], ["deno", deno], ["bun", bun]];
  return row.flatMap(([runtime, atLeast]) =>
    atLeast === undefined ? [] : [{ runtime, cell, against: against[runtime], atLeast, ...more }]
  );
}

/** What else one would use: `ws` on Node, and the native server on Deno and Bun. */
const PEERS = { node: WS, deno: NATIVE, bun: NATIVE };
/** What no engine on top of node:http can do better: a server that takes the upgrade and sends the bytes back. */
const RAW = { node: [LIMIT], deno: [LIMIT], bun: [LIMIT] };
/** Bursts to 200 sockets: against the peers' loops, where the peers have nothing better. */
const BURSTS = ["fan-loop-16", "fan-publish-16", "fan-same-16", "publish-same-16"];

export const targets: readonly Goal[] = [
  ...goals("echo-32-1", RAW, 0.95, 0.95, 0.92),
  ...goals("echo-32-1", PEERS, undefined, undefined, 0.75),
  ...goals("echo-32-16", RAW, 0.75, 0.78, 0.75),
  ...goals("echo-32-16", PEERS, undefined, undefined, 1),
  ...goals("text-32-16", RAW, 0.65, 0.65, 0.7),
  ...goals("text-32-16", PEERS, undefined, undefined, 1),
  ...goals("echo-1k-16", RAW, 0.7, 0.75, 0.75),
  ...goals("echo-1k-16", PEERS, undefined, undefined, 1.1),
  ...goals("echo-64k-4", PEERS, 1.2, 1.1, 1.2),
  ...goals("echo-64k-4", RAW, 0.7, undefined, undefined),
  ...goals("echo-1m-2", PEERS, 1.2, 1.1, 1),
  ...goals("fan-loop-1", PEERS, 1.5, 1, undefined),
  ...goals("fan-loop-1", RAW, undefined, undefined, 0.95),
  ...BURSTS.flatMap((cell) => goals(cell, PEERS, 16, 12, 10, { peerCell: loopOf(cell) })),
  ...["fan-publish-16", "publish-same-16"].flatMap((cell) => goals(cell, PEERS, undefined, undefined, 0.95)),
  // A lone message does not wait for others to be sent with: it comes back as soon as from ws, within the scatter of
  // the rounds.
  ...RUNTIMES.flatMap((runtime) =>
    (["p50Ms", "p99Ms"] as const).map((field) => ({ runtime, cell: "latency-32", against: WS, atLeast: 0.95, field }))
  ),
  ...goals("handshake", PEERS, 1.5, 1, undefined),
  ...goals("handshake", RAW, 0.88, 0.88, 0.9),
  ...RUNTIMES.map((runtime) => {
    const atMostAboveKiB = { node: 0.6, deno: 1.5, bun: 1 }[runtime];
    return { runtime, cell: "idle", against: [LIMIT], atLeast: 0, atMostAboveKiB };
  }),
  // The target is twice the rate on one core. As zlib's threads share that core, this is the same as half the CPU for
  // each message.
  { runtime: "node", cell: "deflate-2k-4", against: WS_DEFLATE, atLeast: 2 },
  { runtime: "bun", cell: "deflate-2k-4", against: NATIVE, atLeast: 1 },
  // Compression may add 5 % to the memory of an idle connection.
  ...RUNTIMES.map((runtime) => {
    return { runtime, cell: "idle-1000-deflate", against: [OURS], peerCell: "idle-1000", atLeast: 1 / 1.05 };
  }),
];

/** The cell of the loop with the same messages. */
function loopOf(cell: string): string {
  return cell.replace("publish-same", "fan-same").replace("fan-publish", "fan-loop");
}
