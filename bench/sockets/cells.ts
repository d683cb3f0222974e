/**
 * The cells of the bench: what is measured. A cell that is added here is run and shown in the tables, and in the charts
 * if `charts` says so.
 */

import type { Workload } from "../load/workload.ts";
import type { DeflateMode } from "../shared/deflate-modes.ts";

export interface Cell extends Workload {
  title: string;
  /** The cell from which the row of a peer is taken that cannot do what this cell measures. */
  elsewhere?: string;
  /** Memory is measured without the engine's spare pages, and beside as many connections that were open before. */
  trimmed?: boolean;
  /** True when the cell is part of `--quick`. */
  quick: boolean;
  /** What the cell's panel in the charts shows, if it has one. */
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

const DEFLATE_TITLE: Record<DeflateMode, string> = {
  off: "",
  "no-takeover": "deflate without takeover",
  takeover: "deflate with takeover",
  "small-windows": "deflate as in Python's websockets",
};

/** The beginnings of the cells' names. */
const DEFLATE_ID = { "no-takeover": "deflate", takeover: "takeover", "small-windows": "python" };

function compressedEcho(deflate: Exclude<DeflateMode, "off">): Cell[] {
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

/** The memory that each of 1,000 connections adds to a server that has 1,000 already, with or without compression. */
function idleDeflate(deflate: DeflateMode): Cell {
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

/** The same text in every message, from which a server gains that keeps its last text or its last frame. */
function same(cell: Cell, id: string, elsewhere?: string): Cell {
  const { elsewhere: _, ...rest } = cell;
  return {
    ...rest,
    id,
    title: `${cell.title}, always the same text`,
    same: true,
    ...(elsewhere !== undefined && { elsewhere }),
    quick: false,
    charts: "none",
  };
}

/** JSON for 200 receivers: a server may compress the message once and send the same bytes to all of them. */
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

const echoedTexts = echo("text");

export const cells: readonly Cell[] = [
  ...echo("binary"),
  ...echoedTexts,
  same(echoedTexts.find(({ id }) => id === "text-32-16")!, "text-same-16"),
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
  same(fan("/fan", 16), "fan-same-16"),
  same(fan("/publish", 16), "publish-same-16", "fan-same-16"),
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
