/** The peers: an entry for each server on each runtime, in the configuration that is best for it and still honest. */
import type { Path } from "../load/workload.ts";
import type { RuntimeName } from "../shared/machine.ts";
import type { Cell } from "./cell.ts";

export interface Peer {
  /** The name for `--peers`; the same server has the same name on every runtime. */
  id: string;
  label: string;
  /** The label in cells with permessage-deflate, where it differs. */
  deflateLabel?: string;
  runtime: RuntimeName;
  /** The program, a file of `peers/`. */
  file: string;
  env: Record<string, string>;
  /** True when the peer is left out of `--quick`. */
  slow: boolean;
  /** What the peer can do. On `/publish`, peers without a publish of their own are shown with their loop. */
  paths: readonly Path[];
  /** In which cells the peer listens in another way than at a port of its own without TLS. */
  listens: readonly ("tls" | "reusePort")[];
  /** In which cells the peer is measured: in those without permessage-deflate, in all, or only in those with it. */
  deflates: "never" | "too" | "only";
}

/**
 * The names of the peers that the reports treat differently: SpaceNode, the same build in a second run, the limit, and
 * SpaceNode of another checkout.
 */
export const OURS = "spacenode";
export const AGAIN = "again";
export const LIMIT = "raw";
export const BASE = "base";

const USUAL_PATHS: readonly Path[] = ["/echo", "/text", "/fan"];
const WITH_TOPICS: readonly Path[] = [...USUAL_PATHS, "/topics"];
const PUBLISHING: readonly Path[] = [...WITH_TOPICS, "/publish"];
/** The echoes in which SpaceNode is compared with itself, and with the limit. */
const OWN_ECHOES: readonly Path[] = ["/read", "/reply"];
/** All cells in which SpaceNode is compared with itself. */
const OWN_PATHS: readonly Path[] = [...OWN_ECHOES, "/history", "/typed"];

function peer(runtime: RuntimeName, id: string, label: string, more: Partial<Peer> = {}): Peer {
  const usual = { file: `${id}.ts`, env: {}, slow: false, paths: USUAL_PATHS, listens: [], deflates: "never" } as const;
  return { id, label, runtime, ...usual, ...more };
}

/** `ws` as `npm install ws` alone gives it: its native add-ons are separate packages. */
const WITHOUT_ADDONS = { WS_NO_BUFFER_UTIL: "1", WS_NO_UTF_8_VALIDATE: "1" };

/**
 * SpaceNode compresses at level 3 by default and `ws` at zlib's default, 6. Bun.serve seems to use 6, too, by the
 * number of bytes that it sends.
 */
function atLevel(level: number): Partial<Peer> {
  return { env: { BENCH_LEVEL: String(level) }, deflates: "only" };
}

const OURS_AT_6: Partial<Peer> = { ...atLevel(6), file: `${OURS}.ts`, paths: PUBLISHING, slow: true };

/**
 * With compression, `ws` is measured with its add-ons. It compresses in threads, whose CPU time counts and which share
 * the server's core.
 */
const WS_AT_3: Partial<Peer> = { ...atLevel(3), file: "ws.ts", listens: ["reusePort"] };
const WS_AT_6: Partial<Peer> = { ...atLevel(6), file: "ws.ts", slow: true };

const ALL: Partial<Peer> = { paths: PUBLISHING, listens: ["tls", "reusePort"], deflates: "too" };
const OURS_AT_3: Partial<Peer> = {
  ...ALL,
  paths: [...PUBLISHING, ...OWN_PATHS],
  deflateLabel: "SpaceNode, level 3",
};
const RAW: Partial<Peer> = { paths: [...USUAL_PATHS, ...OWN_ECHOES], listens: ["tls"] };

/** SpaceNode in other ways to use it than with a listener that sends what it gets. */
function variants(runtime: RuntimeName): Peer[] {
  const reading = (how: string, label: string): Peer =>
    peer(runtime, `spacenode-${how}`, `SpaceNode, ${label}`, {
      file: `${OURS}.ts`,
      env: { BENCH_READ: how },
      paths: ["/read"],
    });
  const publishing = (how: string, label: string): Peer =>
    peer(runtime, `spacenode-${how}`, `SpaceNode, ${label}`, {
      file: `${OURS}.ts`,
      env: { BENCH_HISTORY: how },
      paths: ["/history"],
    });
  const typing = (how: string, label: string): Peer =>
    peer(runtime, `spacenode-${how}`, `SpaceNode, ${label}`, {
      file: `${OURS}.ts`,
      env: { BENCH_TYPED: how },
      paths: ["/typed"],
    });
  return [
    reading("loop", "for await"),
    reading("stream", "stream's reader"),
    reading("pipe", "pipeTo"),
    peer(runtime, "spacenode-fresh", "SpaceNode, a fresh buffer", {
      file: `${OURS}.ts`,
      env: { BENCH_REPLY: "fresh" },
      paths: ["/reply"],
    }),
    publishing("declared", "another topic has a history"),
    publishing("kept", "a topic with a history"),
    publishing("followed", "the same, to followers"),
    typing("by-hand", "JSON and the schema by hand"),
    typing("untyped", "the text as it came"),
  ];
}

export const peers: readonly Peer[] = [
  peer("node", OURS, "SpaceNode", OURS_AT_3),
  ...variants("node"),
  peer("node", "spacenode-6", "SpaceNode, level 6", OURS_AT_6),
  peer("node", "ws", "ws", { env: WITHOUT_ADDONS, paths: WITH_TOPICS, listens: ["tls"] }),
  peer("node", "ws-addon", "ws + bufferutil", { file: "ws.ts", paths: WITH_TOPICS, listens: ["tls"] }),
  peer("node", "ws-3", "ws, level 3", WS_AT_3),
  peer("node", "ws-6", "ws, level 6", WS_AT_6),
  peer("node", "websocket", "websocket", { slow: true }),
  peer("node", "crossws", "crossws", { slow: true }),
  peer("node", LIMIT, "raw bytes (limit)", RAW),
  peer("deno", OURS, "SpaceNode", OURS_AT_3),
  ...variants("deno"),
  peer("deno", "spacenode-6", "SpaceNode, level 6", OURS_AT_6),
  // Deno's own server agrees to no offer of permessage-deflate, so on Deno `ws` is the peer that compresses.
  peer("deno", "native", "Deno.serve", { file: "deno-serve.ts", paths: WITH_TOPICS, listens: ["tls"] }),
  peer("deno", "ws", "ws", { paths: WITH_TOPICS, slow: true }),
  peer("deno", "ws-3", "ws, level 3", WS_AT_3),
  peer("deno", "ws-6", "ws, level 6", WS_AT_6),
  peer("deno", LIMIT, "raw bytes (limit)", RAW),
  peer("bun", OURS, "SpaceNode", OURS_AT_3),
  ...variants("bun"),
  peer("bun", "spacenode-6", "SpaceNode, level 6", OURS_AT_6),
  peer("bun", "native", "Bun.serve", { ...ALL, file: "bun-serve.ts" }),
  peer("bun", "ws", "ws (Bun's shim)", { paths: WITH_TOPICS }),
  peer("bun", LIMIT, "raw bytes (limit)", RAW),
];

/** True when the peer can do what the cell measures. */
export function canDo({ paths, listens, deflates }: Peer, { path, tls, processes, deflate }: Cell): boolean {
  if (!paths.includes(path) || (tls && !listens.includes("tls"))) return false;
  if (processes !== undefined && !listens.includes("reusePort")) return false;
  return deflate === "off" ? deflates !== "only" : deflates !== "never";
}

const ours = peers.filter(({ id }) => id === OURS);

/** SpaceNode once more, which shows how far two runs of the same build lie apart. */
export const secondRuns: readonly Peer[] = ours.map((each) => ({ ...each, id: AGAIN, label: "SpaceNode again" }));

/** SpaceNode of another checkout, set up on each runtime like SpaceNode of this one. */
export function basePeers(folder: URL): Peer[] {
  const env = { BENCH_SPACENODE: folder.href };
  return ours.map((each) => ({ ...each, id: BASE, label: "base", env }));
}
