/** Cells of what applications do beside the plain echo and the plain fan-out. */
import { type Cell, idSize, KIB, sizeName } from "./cell.ts";

/** An echo that most cells here are a variation of. */
function echo(id: string, title: string, payloadBytes: number, inFlight: number): Cell {
  return {
    id,
    title,
    work: "echo",
    path: "/echo",
    payload: "binary",
    payloadBytes,
    connections: 50,
    inFlight,
    deflate: "off",
    quick: false,
    charts: "none",
  };
}

function overTls(payloadBytes: number, inFlight: number): Cell {
  const title = `echo binary ${sizeName(payloadBytes)} over TLS, ${inFlight} in flight`;
  return { ...echo(`tls-${idSize(payloadBytes)}-${inFlight}`, title, payloadBytes, inFlight), tls: true, quick: true };
}

export const practiceCells: readonly Cell[] = [
  overTls(32, 16),
  overTls(64 * KIB, 4),
];
