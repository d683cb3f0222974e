/** What is measured. Adding a cell here has it run and tabled; one with `quick` is in the charts too. */

export type Work = "echo" | "fan" | "handshake" | "idle";
export type Payload = "binary" | "text" | "json";

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
  /** Part of `--quick`. */
  quick: boolean;
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
    quick: quick && payload === "binary",
  }));
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
    quick: path === "/fan" || inFlight === 16,
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
    quick: false,
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
    quick: false,
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
    quick: true,
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
    quick: true,
  },
];
