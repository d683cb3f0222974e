/** A server with every way in, as a process of its own, and whether the server is well after visitors have left. */

import { existsSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { certificate } from "./certificate.ts";
import type { DoorPorts, DoorState, Way } from "./door-server.ts";
import { text } from "./frames.ts";
import { Program } from "./program.ts";
import { rawRequest, upgradeRequest } from "./raw-client.ts";
import { actualRuntime } from "./runtime.ts";
import { visit } from "./visitor.ts";

/** What the visitors' connections speak: HTTP over TCP, HTTP over TLS, or whatever they like where TLS is expected. */
export type Layer = "tcp" | "tls" | "instead of tls";

/** How long a server may take to let go of those who have left; it has nothing else to do. */
const SETTLE_MS = 8_000;

export class Door {
  readonly ports: DoorPorts;
  readonly #program: Program;
  readonly #socketsAtStart: number;
  #hasEnded = false;

  /** Starts a server. It is ended with the test, or by `close`. */
  static async open(lifetimeMs: number, nodeOptions: string = ""): Promise<Door> {
    const { key, cert } = certificate();
    const env = { KEY: key, CERT: cert, ...(actualRuntime().startsWith("node") && { NODE_OPTIONS: nodeOptions }) };
    const program = Program.file("tests/support/door-server.ts", env, [], lifetimeMs);
    const [ports] = await program.line(/^\{.*\}$/);
    return new Door(program, JSON.parse(ports) as DoorPorts);
  }

  private constructor(program: Program, ports: DoorPorts) {
    this.#program = program;
    this.ports = ports;
    this.#socketsAtStart = socketsOf(program.pid);
    program.exited.then(() => this.#hasEnded = true);
  }

  /** Whether the process is gone. */
  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** Where a visitor finds a way in, and what it speaks there. */
  entrance(layer: Layer, way: Way): { readonly port: number; readonly ca: string | undefined } {
    const ports = layer === "tcp" ? this.ports.tcp : this.ports.tls;
    return { port: ports[way], ca: layer === "tls" ? certificate().cert : undefined };
  }

  /** What is wrong with the server once all visitors have left, in words; nothing when it is well. */
  async complaints(): Promise<string[]> {
    const leftovers = await this.#settle();
    const echoes = this.#hasEnded ? [] : await this.#tryEchoes();
    const errors = this.#program.errors.trim();
    return [
      ...(this.#hasEnded ? ["the process has ended"] : []),
      ...leftovers,
      ...echoes,
      ...(errors === "" ? [] : [`on stderr:\n${errors.slice(0, 3_000)}`]),
    ];
  }

  close(): void {
    if (!this.#hasEnded) this.#program.kill("SIGKILL");
  }

  /** Waits until nobody is left, and tells who is. */
  async #settle(): Promise<string[]> {
    for (const endMs = performance.now() + SETTLE_MS;; await delay(5)) {
      const found = await this.#leftovers();
      if (this.#hasEnded || found.length === 0) return [];
      if (performance.now() > endMs) return found;
    }
  }

  async #leftovers(): Promise<string[]> {
    const state = await this.#state();
    if (state === undefined) return ["the server does not tell how it is"];
    const { accepted, opened, closed, ...left } = state;
    const found = Object.entries(left).filter(([, count]) => count !== 0).map(([name, count]) => `${name} ${count}`);
    if (accepted !== opened || opened !== closed) {
      found.push(`accepted ${accepted}, opened ${opened}, closed ${closed}`);
    }
    const sockets = socketsOf(this.#program.pid);
    if (sockets > this.#socketsAtStart) {
      found.push(`${sockets} sockets in the process, ${this.#socketsAtStart} at its start`);
    }
    return found;
  }

  async #state(): Promise<DoorState | undefined> {
    const request = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    try {
      const answer = await rawRequest(this.ports.control, request);
      return JSON.parse(answer.slice(answer.indexOf("\r\n\r\n"))) as DoorState;
    } catch {
      return undefined;
    }
  }

  /** Whether it answers on every way in, as it should. */
  async #tryEchoes(): Promise<string[]> {
    const ways = Object.keys(this.ports.tcp) as Way[];
    const entrances = ways.flatMap((way) => [["tcp", way], ["tls", way]] as const);
    const results = await Promise.all(entrances.map(async ([layer, way]) => {
      const { received } = await visit({
        ...this.entrance(layer, way),
        writes: [Buffer.from(upgradeRequest()), text("still well")],
        leave: "reset",
        when: ECHO,
      });
      return ECHO.test(received)
        ? []
        : [`no echo over ${layer}, ${way}, but ${JSON.stringify(received.slice(0, 200))}`];
    }));
    return results.flat();
  }
}

/** How the echo of "still well" looks on the wire: FIN, text, ten bytes. */
// deno-lint-ignore no-control-regex
const ECHO = /^HTTP\/1\.1 101 [^]*\r\n\r\n\x81\x0astill well$/;

/**
 * How many sockets a process holds, besides those by which a runtime talks to itself. A connection that its peer has
 * reset and the process has not closed counts too, though it stands in no table of connections. Only Linux tells;
 * elsewhere the server's own counts have to do.
 */
function socketsOf(pid: number): number {
  const folder = `/proc/${pid}/fd`;
  if (!existsSync(folder)) return 0;
  const inner = new Set(readFileSync("/proc/net/unix", "utf8").split("\n").map((line) => line.trim().split(/\s+/)[6]));
  return readdirSync(folder).filter((name) => {
    const inode = /^socket:\[(\d+)\]$/.exec(linkOf(`${folder}/${name}`))?.[1];
    return inode !== undefined && !inner.has(inode);
  }).length;
}

/** Where a link points to; nowhere once it is gone. */
function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
}
