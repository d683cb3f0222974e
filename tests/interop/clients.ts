import { spawnSync } from "node:child_process";
import { join } from "node:path";

export interface ClientKind {
  readonly name: string;
  readonly command: readonly string[];
  /** Beyond the browser's API: pings of its own, fragments of its choice, cutting the TCP connection. */
  readonly hasFrameControl: boolean;
  /** Which way permessage-deflate works: some can only inflate, and some do not offer it. */
  readonly compresses: "both ways" | "receiving" | "never";
}

const program = (name: string): string => join(import.meta.dirname, name);
// Under Node, its own version is tested, whichever it is; under Deno and Bun, the development dependency's.
const node = /\bnode(\.exe)?$/.test(process.execPath) ? process.execPath : "node";

/** Everybody who connects. They are programs of their own, so that every server meets the same clients. */
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

/** The runtimes are development dependencies and always there; python3 is the machine's. */
export function isInstalled({ command }: ClientKind): boolean {
  return command[0] !== "python3" || spawnSync("python3", ["--version"]).status === 0;
}
