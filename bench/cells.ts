/** What is measured. Adding a cell here has it run and tabled; `charts` draws it. */

export type Work = "echo" | "fan" | "handshake" | "idle";
export type Payload = "binary" | "text" | "json";

/** permessage-deflate: not offered; each message compressed by itself; with the windows kept, both ways; or so with small ones. */
export type Deflate = "off" | "no-takeover" | "takeover" | "small-windows";

/** What a server of Python's `websockets` has by default: windows of 4 KiB, both ways, and a compressor that makes do with 32 KiB in all. */
export const SMALL_WINDOWS = { windowBits: 12, memLevel: 5 };

/** Whether messages refer back to earlier ones. */
export function keepsContext(deflate: Deflate): boolean {
  return deflate === "takeover" || deflate === "small-windows";
}

/** zlib's own defaults, except where the cell is about others. */
export function windowsOf(deflate: Deflate): Partial<typeof SMALL_WINDOWS> {
  return deflate === "small-windows" ? SMALL_WINDOWS : {};
}

export interface Cell {
  id: string;
  title: string;
  work: Work;
  /** The path tells a peer what to do with a message: see `peers/support.ts`. */
  path: "/echo" | "/text" | "/fan" | "/publish";
  payload: Payload;
  payloadBytes: number;
  connections: number;
  inFlight: number;
  deflate: Deflate;
  /** Where peers that cannot do this are shown from. */
  elsewhere?: string;
  /** Memory is compared without what the engine keeps for later, and beside as many connections. */
  trimmed?: boolean;
  /** Part of `--quick`. */
  quick: boolean;
  /** What its panel in the charts shows, if it has one. */
  charts: "figure" | "latency" | "none";
}

const KIB = 1024;
const MIB = 1024 * KIB;

function sizeName(bytes: number): string {
  return bytes >= MIB ? `${bytes / MIB} MiB` : bytes >= KIB ? `${bytes / KIB} KiB` : `${bytes} B`;
}

function idSize(bytes: number): string {
  return bytes >= MIB ? `${bytes / MIB}m` : bytes >= KIB ? `${bytes / KIB}k` : `${bytes}`;
}

const echoShapes: [payloadBytes: number, inFlight: number, quick: boolean][] = [
  [32, 1, true],
  [32, 16, true],
  [KIB, 1, false],
  [KIB, 16, true],
  [64 * KIB, 1, false],
  [64 * KIB, 4, true],
  [MIB, 1, false],
  [MIB, 2, true],
];

function echo(payload: "binary" | "text"): Cell[] {
  return echoShapes.map(([payloadBytes, inFlight, quick]) => ({
    id: `${payload === "text" ? "text" : "echo"}-${idSize(payloadBytes)}-${inFlight}`,
    title: `echo ${payload} ${sizeName(payloadBytes)}, ${inFlight} in flight`,
    work: "echo",
    path: "/echo",
    payload,
    payloadBytes,
    connections: 50,
    inFlight,
    deflate: "off",
    quick: quick && payload === "binary",
    charts: quick && payload === "binary" ? "figure" : "none",
  }));
}

const DEFLATE_TITLE: Record<Deflate, string> = {
  off: "",
  "no-takeover": "deflate without takeover",
  takeover: "deflate with takeover",
  "small-windows": "deflate as in Python's websockets",
};

const DEFLATE_ID = { "no-takeover": "deflate", takeover: "takeover", "small-windows": "python" };

function compressedEcho(deflate: Exclude<Deflate, "off">): Cell[] {
  return [200, 2 * KIB, 64 * KIB].map((payloadBytes) => ({
    id: `${DEFLATE_ID[deflate]}-${idSize(payloadBytes)}-4`,
    title: `echo JSON ${sizeName(payloadBytes)}, ${DEFLATE_TITLE[deflate]}, 4 in flight`,
    work: "echo",
    path: "/text",
    payload: "json",
    payloadBytes,
    connections: 50,
    inFlight: 4,
    deflate,
    quick: deflate === "no-takeover" && payloadBytes === 2 * KIB,
    charts: payloadBytes === 2 * KIB && deflate !== "small-windows" ? "figure" : "none",
  }));
}

/** With and without compression: what each of 1,000 connections adds to the memory of a server that has 1,000 already. */
function idleDeflate(deflate: Deflate): Cell {
  return {
    id: deflate === "off" ? "idle-1000" : `idle-1000-${DEFLATE_ID[deflate]}`,
    title: `idle memory of 1 in 1,000, ${DEFLATE_TITLE[deflate] || "no compression"}`,
    work: "idle",
    path: "/text",
    payload: "json",
    payloadBytes: 2 * KIB,
    connections: 1_000,
    inFlight: 1,
    deflate,
    trimmed: true,
    quick: false,
    charts: deflate === "off" || deflate === "small-windows" ? "none" : "figure",
  };
}

function fan(path: "/fan" | "/publish", inFlight: number): Cell {
  const how = path === "/fan" ? "loop" : "publish";
  return {
    id: `fan-${how}-${inFlight}`,
    title: `fan-out 1 to 200, ${inFlight === 1 ? "1 in flight" : `bursts of ${inFlight}`}, ${how}`,
    work: "fan",
    path,
    payload: "text",
    payloadBytes: 32,
    connections: 200,
    inFlight,
    deflate: "off",
    ...(path === "/publish" && { elsewhere: `fan-loop-${inFlight}` }),
    quick: path === "/fan" || inFlight === 16,
    charts: "figure",
  };
}

/** JSON to 200 at once: whoever compresses it once for all has the rest for nothing. */
function compressedFan(path: "/fan" | "/publish"): Cell {
  return {
    ...fan(path, 1),
    id: path === "/fan" ? "fan-loop-deflate" : "fan-publish-deflate",
    title: `fan-out of JSON 2 KiB 1 to 200, deflate, ${path === "/fan" ? "loop" : "publish"}`,
    payload: "json",
    payloadBytes: 2 * KIB,
    deflate: "no-takeover",
    ...(path === "/publish" && { elsewhere: "fan-loop-deflate" }),
    quick: false,
  };
}

export const cells: readonly Cell[] = [
  ...echo("binary"),
  ...echo("text"),
  {
    id: "json-2k-16",
    title: "echo JSON 2 KiB with non-ASCII, 16 in flight",
    work: "echo",
    path: "/text",
    payload: "json",
    payloadBytes: 2 * KIB,
    connections: 50,
    inFlight: 16,
    deflate: "off",
    quick: false,
    charts: "none",
  },
  {
    id: "latency-32",
    title: "a lone message of 32 B, 1 connection",
    work: "echo",
    path: "/echo",
    payload: "binary",
    payloadBytes: 32,
    connections: 1,
    inFlight: 1,
    deflate: "off",
    quick: true,
    charts: "latency",
  },
  fan("/fan", 1),
  fan("/fan", 16),
  fan("/publish", 1),
  fan("/publish", 16),
  {
    id: "handshake",
    title: "handshake and close, 16 at a time",
    work: "handshake",
    path: "/echo",
    payload: "binary",
    payloadBytes: 0,
    connections: 16,
    inFlight: 1,
    deflate: "off",
    quick: true,
    charts: "figure",
  },
  {
    id: "idle",
    title: "memory of an idle connection",
    work: "idle",
    path: "/echo",
    payload: "binary",
    payloadBytes: 32,
    connections: 10_000,
    inFlight: 1,
    deflate: "off",
    quick: true,
    charts: "figure",
  },
  ...compressedEcho("no-takeover"),
  ...compressedEcho("takeover"),
  ...compressedEcho("small-windows"),
  compressedFan("/fan"),
  compressedFan("/publish"),
  idleDeflate("off"),
  idleDeflate("no-takeover"),
  idleDeflate("takeover"),
  idleDeflate("small-windows"),
];
