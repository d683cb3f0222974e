/** The list of client programs that connect to the server. */

import { spawnSync } from "node:child_process";
import { join } from "node:path";

/** A client program, and what it can do. */
export interface ClientKind {
  readonly name: string;
  readonly command: readonly string[];
  /** True when the client can send Pings and chosen fragments, and cut the TCP connection. The browser's API cannot. */
  readonly hasFrameControl: boolean;
  /**
   * The directions in which the client compresses. Some clients can only inflate, and some do not offer compression.
   */
  readonly compresses: "both ways" | "receiving" | "never";
}

const program = (name: string): string => join(import.meta.dirname, name);
// Under Node, the client is the same version of Node. Under Deno and Bun, it is the one in the dev dependencies.
const node = /\bnode(\.exe)?$/.test(process.execPath) ? process.execPath : "node";

/** All clients. They are programs of their own, so that the servers of all runtimes meet the same clients. */
export const clientKinds: readonly ClientKind[] = [
  {
    name: "Node's WebSocket",
    command: [node, program("client-web.ts")],
    hasFrameControl: false,
    compresses: "receiving",
  },
  {
    name: "Deno's WebSocket",
    command: ["deno", "run", "--allow-all", program("client-web.ts")],
    hasFrameControl: false,
    compresses: "never",
  },
  {
    name: "Bun's WebSocket",
    command: ["bun", program("client-web.ts")],
    hasFrameControl: false,
    compresses: "both ways",
  },
  {
    name: "undici's WebSocket",
    command: [node, program("client-web.ts"), "undici"],
    hasFrameControl: false,
    compresses: "receiving",
  },
  { name: "ws", command: [node, program("client-ws.ts")], hasFrameControl: true, compresses: "both ways" },
  {
    name: "Python's sockets",
    command: ["python3", "-u", program("client.py")],
    hasFrameControl: true,
    compresses: "both ways",
  },
];

/** True when the client can run here. The runtimes are dev dependencies and always there; python3 may be missing. */
export function isInstalled({ command }: ClientKind): boolean {
  return command[0] !== "python3" || spawnSync("python3", ["--version"]).status === 0;
}
