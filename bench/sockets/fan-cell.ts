/** The cells in which one connection sends, and 200 receive. */
import type { Cell } from "./cell.ts";

export function fan(path: "/fan" | "/publish", inFlight: number): Cell {
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
