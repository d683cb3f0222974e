/** Who is measured: one entry per server and runtime, each in its best honest configuration, permessage-deflate off. */
import type { RuntimeName } from "./machine.ts";

export interface Peer {
  /** The name for `--peers`; the same on every runtime where the same thing runs. */
  id: string;
  label: string;
  runtime: RuntimeName;
  file: string;
  env: Record<string, string>;
  /** Left out of `--quick`. */
  slow: boolean;
  /** Has a publish of its own for the cells on `/publish`. */
  publishes: boolean;
}

export const OURS = "spacenode";
export const LIMIT = "raw";

function peer(runtime: RuntimeName, id: string, label: string, more: Partial<Peer> = {}): Peer {
  return { id, label, runtime, file: `${id}.ts`, env: {}, slow: false, publishes: false, ...more };
}

/** What `npm install ws` gives by itself: its native add-ons are separate packages. */
const WITHOUT_ADDONS = { WS_NO_BUFFER_UTIL: "1", WS_NO_UTF_8_VALIDATE: "1" };

export const peers: readonly Peer[] = [
  peer("node", OURS, "SpaceNode"),
  peer("node", "ws", "ws", { env: WITHOUT_ADDONS }),
  peer("node", "ws-addon", "ws + bufferutil", { file: "ws.ts" }),
  peer("node", "websocket", "websocket", { slow: true }),
  peer("node", "crossws", "crossws", { slow: true }),
  peer("node", LIMIT, "raw bytes (limit)"),
  peer("deno", OURS, "SpaceNode"),
  peer("deno", "native", "Deno.serve", { file: "deno-serve.ts" }),
  peer("deno", "ws", "ws", { slow: true }),
  peer("deno", LIMIT, "raw bytes (limit)"),
  peer("bun", OURS, "SpaceNode"),
  peer("bun", "native", "Bun.serve", { file: "bun-serve.ts", publishes: true }),
  peer("bun", "ws", "ws (Bun's shim)"),
  peer("bun", LIMIT, "raw bytes (limit)"),
];
