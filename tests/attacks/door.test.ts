// Clients send odd handshakes and requests and leave at any moment: none of that causes an uncaught exception, and the
// server keeps nothing of such a client.

import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { beforeAll, expect, test } from "vitest";
import type { Way } from "../support/door-server.ts";
import { Door, type Layer } from "../support/door.ts";
import { oddities, tlsOddities } from "../support/oddities.ts";
import { type Visit, visit } from "../support/visitor.ts";

type Writes = readonly Uint8Array[];
type Entry = readonly [name: string, writes: Writes];

/** So many oddities are tried together. If the server is not well afterwards, each of them is tried alone. */
const AT_ONCE = 10;
/** A trial stops once it has found this many faults, or at least one fault within this time. */
const ENOUGH_FAULTS = 3;
const ENOUGH_MS = 40_000;
const LIFETIME_MS = 100_000;

const leavings: readonly Visit["leave"][] = ["reset", "end", "destroy"];
const moments: Record<Layer, readonly Visit["when"][]> = {
  // The client may leave before the server has read the request, while the server responds, and after that.
  tcp: ["at once", "response", 1, 5, 50],
  tls: ["at once", "response", 5],
  "instead of tls": ["at once", "response", 5],
};

/** Sends one oddity, with every way and every moment of leaving. Returns a complaint for each connection that stays. */
async function visitAll(door: Door, layer: Layer, way: Way, writes: Writes): Promise<string[]> {
  const plans = leavings.flatMap((leave) => moments[layer].map((when) => ({ leave, when })));
  const results = await Promise.all(plans.map(async ({ leave, when }) => {
    const { isOver, received } = await visit({ ...door.entrance(layer, way), writes, leave, when });
    const start = JSON.stringify(received.slice(0, 50));
    return isOver ? [] : [`the server did not end its side after ${leave}, ${when}; it had sent ${start}`];
  }));
  return results.flat();
}

/** Finds the oddities that harm a server. After each fault the server is started anew. */
class Trial {
  readonly faults: string[] = [];
  readonly #layer: Layer;
  readonly #way: Way;
  readonly #startedAt = performance.now();
  #door: Door | undefined;

  constructor(layer: Layer, way: Way) {
    this.#layer = layer;
    this.#way = way;
  }

  /** Tries oddities together, and then each of them alone if the server is not well. */
  async try(entries: readonly Entry[]): Promise<void> {
    if (this.#hasEnough) return;
    const door = this.#door ??= await Door.open(LIFETIME_MS);
    const visits = await Promise.all(entries.map(([, writes]) => visitAll(door, this.#layer, this.#way, writes)));
    const complaints = [...visits.flat(), ...await door.complaints()];
    if (complaints.length === 0) return;
    door.close();
    this.#door = undefined;
    const before = this.faults.length;
    if (entries.length > 1) { for (const entry of entries) await this.try([entry]); }
    if (this.faults.length > before) return;
    this.faults.push(`${entries.map(([name]) => name).join("; ")}: ${complaints.join("\n")}`);
  }

  get #hasEnough(): boolean {
    const { length } = this.faults;
    return length >= ENOUGH_FAULTS || (length > 0 && performance.now() - this.#startedAt > ENOUGH_MS);
  }
}

async function faultsOf(layer: Layer, way: Way, all: Readonly<Record<string, Writes>>): Promise<string[]> {
  const entries = Object.entries(all);
  const trial = new Trial(layer, way);
  for (let i = 0; i < entries.length; i += AT_ONCE) await trial.try(entries.slice(i, i + AT_ONCE));
  return trial.faults;
}

/** The first bytes that a TLS client sends. */
let greeting: Uint8Array;

beforeAll(async () => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const client = connectTls({ port, host: "127.0.0.1", servername: "localhost" }).on("error", () => {});
  const [raw] = await once(server, "connection") as [Socket];
  [greeting] = await once(raw, "data") as [Buffer];
  client.destroy();
  raw.destroy();
  server.close();
});

test.each<[Layer, Way]>([
  ["tcp", "listen"],
  ["tcp", "attach"],
  ["tcp", "attach beside another"],
  ["tcp", "handleUpgrade"],
  ["tcp", "handleUpgrade later"],
  ["tls", "listen"],
  ["tls", "attach"],
  ["tls", "attach beside another"],
  ["tls", "handleUpgrade later"],
])("over %s, by %s, no oddity is uncaught, writes to stderr or leaves anything behind", async (layer, way) => {
  expect(await faultsOf(layer, way, oddities)).toEqual([]);
}, LIFETIME_MS);

test.each<Way>(["listen", "attach"])("where TLS is expected, by %s, other bytes do no harm, either", async (way) => {
  expect(await faultsOf("instead of tls", way, tlsOddities(greeting))).toEqual([]);
}, LIFETIME_MS);
