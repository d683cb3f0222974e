/**
 * The targets: how many times less CPU, memory or time SpaceNode is to take than the best of some peers in the same
 * run.
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
}

const WS = ["ws", "ws-addon"];
const WS_DEFLATE = ["ws-3", "ws-6"];
const NATIVE = ["native"];
const RUNTIMES: RuntimeName[] = ["node", "deno", "bun"];

/**
 * A goal for the cell on each runtime that has a number: against `ws` on Node, and against the native server on Deno
 * and Bun.
 */
function goals(cell: string, node: number | undefined, deno: number | undefined, bun: number | undefined): Goal[] {
  const row: [RuntimeName, string[], number | undefined][] = [["node", WS, node], ["deno", NATIVE, deno], [
    "bun",
    NATIVE,
    bun,
  ]];
  return row.flatMap(([runtime, against, atLeast]) =>
    atLeast === undefined ? [] : [{ runtime, cell, against, atLeast }]
  );
}

export const targets: readonly Goal[] = [
  ...goals("echo-32-1", 1.3, 0.9, 0.85),
  { runtime: "node", cell: "echo-32-1", against: [LIMIT], atLeast: 0.97 },
  { runtime: "deno", cell: "echo-32-1", against: [LIMIT], atLeast: 0.95 },
  { runtime: "bun", cell: "echo-32-1", against: [LIMIT], atLeast: 0.95 },
  ...goals("echo-32-16", 11, 10, 1.1),
  ...goals("echo-1k-16", 8, 9, 1.3),
  { runtime: "node", cell: "echo-64k-4", against: ["ws"], atLeast: 1.6 },
  { runtime: "node", cell: "echo-64k-4", against: ["ws-addon"], atLeast: 1.2 },
  ...goals("echo-64k-4", undefined, 1.2, 1.1),
  { runtime: "node", cell: "echo-1m-2", against: ["ws"], atLeast: 1.8 },
  { runtime: "node", cell: "echo-1m-2", against: ["ws-addon"], atLeast: 1.1 },
  ...goals("echo-1m-2", undefined, 1.2, 1),
  ...goals("fan-loop-1", 1.4, 1, 1),
  ...goals("fan-loop-16", 18, 12, 10),
  { runtime: "bun", cell: "fan-loop-16", against: NATIVE, atLeast: 1, peerCell: "fan-publish-16" },
  { runtime: "node", cell: "fan-publish-16", against: WS, atLeast: 15, peerCell: "fan-loop-16" },
  ...goals("fan-publish-1", undefined, undefined, 1),
  ...goals("fan-publish-16", undefined, undefined, 1),
  // A lone message does not wait for others to be sent with: it comes back as soon as from ws, within the scatter of
  // the rounds.
  ...RUNTIMES.flatMap((runtime) =>
    (["p50Ms", "p99Ms"] as const).map((field) => ({ runtime, cell: "latency-32", against: WS, atLeast: 0.95, field }))
  ),
  ...goals("handshake", 1.2, 1, 0.8),
  // The targets for memory are shares of the peer's: at most 0.65, 0.4 and 1.
  { runtime: "node", cell: "idle", against: WS, atLeast: 1 / 0.65 },
  { runtime: "deno", cell: "idle", against: NATIVE, atLeast: 1 / 0.4 },
  { runtime: "bun", cell: "idle", against: ["ws"], atLeast: 1 },
  // The target is twice the rate on one core. As zlib's threads share that core, this is the same as half the CPU for
  // each message.
  { runtime: "node", cell: "deflate-2k-4", against: WS_DEFLATE, atLeast: 2 },
  { runtime: "bun", cell: "deflate-2k-4", against: NATIVE, atLeast: 1 },
  // Compression may add 5 % to the memory of an idle connection.
  ...RUNTIMES.map((runtime) => {
    return { runtime, cell: "idle-1000-deflate", against: [OURS], peerCell: "idle-1000", atLeast: 1 / 1.05 };
  }),
];
