/** Who is measured: one entry per server and runtime, each in its best honest configuration. */
import type { RuntimeName } from "../shared/machine.ts";

export interface Peer {
  /** The name for `--peers`; the same on every runtime where the same thing runs. */
  id: string;
  label: string;
  /** What it is called in cells with permessage-deflate, if not the same. */
  deflateLabel?: string;
  runtime: RuntimeName;
  file: string;
  env: Record<string, string>;
  /** Left out of `--quick`. */
  slow: boolean;
  /** Has a publish of its own for the cells on `/publish`; those without are shown by their loop. */
  publishes: boolean;
  /** Whether it is measured in cells with permessage-deflate: never, as in the others, or there alone. */
  deflates: "never" | "too" | "only";
}

export const OURS = "spacenode";
export const LIMIT = "raw";
export const BASE = "base";

function peer(runtime: RuntimeName, id: string, label: string, more: Partial<Peer> = {}): Peer {
  return { id, label, runtime, file: `${id}.ts`, env: {}, slow: false, publishes: false, deflates: "never", ...more };
}

/** What `npm install ws` gives by itself: its native add-ons are separate packages. */
const WITHOUT_ADDONS = { WS_NO_BUFFER_UTIL: "1", WS_NO_UTF_8_VALIDATE: "1" };

/** SpaceNode compresses at level 3 by itself, `ws` at zlib's default of 6; so does Bun.serve, by the bytes that it sends. */
function atLevel(level: number): Partial<Peer> {
  return { env: { BENCH_LEVEL: String(level) }, deflates: "only" };
}

const OURS_AT_6: Partial<Peer> = { ...atLevel(6), file: `${OURS}.ts`, publishes: true, slow: true };

/** Under compression `ws` is measured with its add-ons. Its threads of zlib count, and share the server's core. */
const WS_AT_3: Partial<Peer> = { ...atLevel(3), file: "ws.ts" };
const WS_AT_6: Partial<Peer> = { ...atLevel(6), file: "ws.ts", slow: true };

const ALL: Partial<Peer> = { publishes: true, deflates: "too" };
const OURS_AT_3: Partial<Peer> = { ...ALL, deflateLabel: "SpaceNode, level 3" };

export const peers: readonly Peer[] = [
  peer("node", OURS, "SpaceNode", OURS_AT_3),
  peer("node", "spacenode-6", "SpaceNode, level 6", OURS_AT_6),
  peer("node", "ws", "ws", { env: WITHOUT_ADDONS }),
  peer("node", "ws-addon", "ws + bufferutil", { file: "ws.ts" }),
  peer("node", "ws-3", "ws, level 3", WS_AT_3),
  peer("node", "ws-6", "ws, level 6", WS_AT_6),
  peer("node", "websocket", "websocket", { slow: true }),
  peer("node", "crossws", "crossws", { slow: true }),
  peer("node", LIMIT, "raw bytes (limit)"),
  peer("deno", OURS, "SpaceNode", OURS_AT_3),
  peer("deno", "spacenode-6", "SpaceNode, level 6", OURS_AT_6),
  // Deno's own server answers no offer of permessage-deflate: `ws` is who compresses there.
  peer("deno", "native", "Deno.serve", { file: "deno-serve.ts" }),
  peer("deno", "ws", "ws", { slow: true }),
  peer("deno", "ws-3", "ws, level 3", WS_AT_3),
  peer("deno", "ws-6", "ws, level 6", WS_AT_6),
  peer("deno", LIMIT, "raw bytes (limit)"),
  peer("bun", OURS, "SpaceNode", OURS_AT_3),
  peer("bun", "spacenode-6", "SpaceNode, level 6", OURS_AT_6),
  peer("bun", "native", "Bun.serve", { ...ALL, file: "bun-serve.ts" }),
  peer("bun", "ws", "ws (Bun's shim)"),
  peer("bun", LIMIT, "raw bytes (limit)"),
];

/** SpaceNode as it is in the folder of another checkout, set up like ours on each runtime. */
export function basePeers(folder: URL): Peer[] {
  const env = { BENCH_SPACENODE: folder.href };
  return peers.filter(({ id }) => id === OURS).map((ours) => ({ ...ours, id: BASE, label: "base", env }));
}
