/** The cells with permessage-deflate. */
import type { DeflateMode } from "../shared/deflate-modes.ts";
import { type Cell, idSize, KIB, sizeName } from "./cell.ts";
import { fan } from "./fan-cell.ts";

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

export const deflateCells: readonly Cell[] = [
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
