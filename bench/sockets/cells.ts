/**
 * The cells of the bench: what is measured. A cell that is added here is run and shown in the tables, and in the charts
 * if `charts` says so.
 */
import { type Cell, idSize, KIB, MIB, sizeName } from "./cell.ts";
import { deflateCells } from "./deflate-cells.ts";
import { fan } from "./fan-cell.ts";
import { practiceCells } from "./practice-cells.ts";

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
  ...deflateCells,
  ...practiceCells,
];
