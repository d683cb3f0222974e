/** Runs door-server.ts, a server with every way in, and finds out whether it is well after its visitors have left. */

import { existsSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { certificate } from "./certificate.ts";
import type { DoorPorts, DoorState, Way } from "./door-server.ts";
import { text } from "./frames.ts";
import { Program } from "./program.ts";
import { rawRequest, upgradeRequest } from "./raw-client.ts";
import { actualRuntime } from "./runtime.ts";
import { visit } from "./visitor.ts";

/** What a visitor speaks: HTTP over TCP, HTTP over TLS, or anything else over TCP where the server expects TLS. */
export type Layer = "tcp" | "tls" | "instead of tls";

/** The server may take this long until nothing is left of its visitors. It has nothing else to do. */
const SETTLE_MS = 8_000;

/** A running server with every way in. */
export class Door {
  readonly ports: DoorPorts;
  readonly #program: Program;
  readonly #socketsAtStart: number;
  #hasEnded = false;

  /** Starts the server. It is killed by `close`, when the test is finished, or after `lifetimeMs`. */
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

  /** True once the process has exited. */
  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** The port of a way in, and the certificate when the visitor speaks TLS. */
  entrance(layer: Layer, way: Way): { readonly port: number; readonly ca: string | undefined } {
    const ports = layer === "tcp" ? this.ports.tcp : this.ports.tls;
    return { port: ports[way], ca: layer === "tls" ? certificate().cert : undefined };
  }

  /** Says in words what is wrong with the server after all visitors have left. The list is empty when it is well. */
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

  /** Kills the server. */
  close(): void {
    this.#program.kill("SIGKILL");
  }

  /** Waits until the server keeps nothing of its visitors. Returns what is left after SETTLE_MS. */
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
      const response = await rawRequest(this.ports.control, request);
      return JSON.parse(response.slice(response.indexOf("\r\n\r\n"))) as DoorState;
    } catch {
      return undefined;
    }
  }

  /** Returns a complaint for each way in that does not echo a message. */
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

/** The response to a handshake and the echo of "still well" on the wire: FIN, text, ten bytes. */
// deno-lint-ignore no-control-regex
const ECHO = /^HTTP\/1\.1 101 [^]*\r\n\r\n\x81\x0astill well$/;

/**
 * Counts the sockets of a process, except the unix sockets by which a runtime talks to itself. A connection that the
 * peer has reset and the process has not closed counts, too, though it is in no table of connections. Only Linux shows
 * them: elsewhere the result is 0, and the server's own counts have to do.
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

/** Returns the target of a link, or an empty string when the link no longer exists. */
function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
}
