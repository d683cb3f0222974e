/** One measurement: one peer, one cell, one fresh server process. */
import type { Cell } from "./cells.ts";
import type { Cores, Runtime } from "./machine.ts";
import { LIMIT, type Peer } from "./peers.ts";
import type { Memory } from "./peers/support.ts";
import { type Generator, Server } from "./processes.ts";

export interface Sample {
  /** The cell's figure: server CPU in µs for a message (a delivery, a handshake), or KiB for an idle connection. */
  figure: number;
  perSecond: number | undefined;
  p50Ms: number | undefined;
  p99Ms: number | undefined;
  generatorShare: number | undefined;
  serverShare: number | undefined;
  /** Bytes on the wire for a message, to the server and back. */
  toServerBytes: number | undefined;
  toClientBytes: number | undefined;
  /** Of an idle connection: what the engine knows of. It scatters less than what the system counts, and sees less. */
  heapKiB: number | undefined;
}

export interface Times {
  warmUpSeconds: number;
  seconds: number;
  idleConnections: number;
}

async function measureCpu(server: Server, generator: Generator, times: Times): Promise<Sample> {
  await generator.drive(times.warmUpSeconds);
  const before = await server.cpuMicroseconds();
  const { count, seconds, generatorShare, p50Ms, p99Ms, sentBytes, receivedBytes } = await generator.drive(
    times.seconds,
  );
  const spent = (await server.cpuMicroseconds()) - before;
  return {
    figure: spent / count,
    perSecond: count / seconds,
    p50Ms,
    p99Ms,
    generatorShare,
    serverShare: spent / 1e6 / seconds,
    toServerBytes: sentBytes,
    toClientBytes: receivedBytes,
    heapKiB: undefined,
  };
}

/**
 * Other connections come first, so that what a server sets up once is not counted against those that are measured: a few that go again, or as many that stay where a
 * small difference matters.
 */
async function measureIdle(server: Server, generator: Generator, cell: Cell, raw: boolean): Promise<Sample> {
  const { port } = server;
  const { trimmed = false } = cell;
  if (trimmed) {
    await generator.open({ cell, port, raw });
  } else {
    await generator.open({ cell: { ...cell, connections: Math.max(100, cell.connections / 20) }, port, raw });
    await generator.close();
  }
  const before = await server.memory(trimmed);
  await generator.open({ cell, port, raw });
  const after = await server.memory(trimmed);
  const kibEach = (field: keyof Memory): number => (after[field] - before[field]) / 1024 / cell.connections;
  return {
    figure: kibEach("residentBytes"),
    heapKiB: kibEach("heapBytes"),
    perSecond: undefined,
    p50Ms: undefined,
    p99Ms: undefined,
    generatorShare: undefined,
    serverShare: undefined,
    toServerBytes: undefined,
    toClientBytes: undefined,
  };
}

export async function measure(
  peer: Peer,
  runtime: Runtime,
  cell: Cell,
  generator: Generator,
  cores: Cores | undefined,
  times: Times,
): Promise<Sample> {
  const raw = peer.id === LIMIT;
  const env = { ...peer.env, BENCH_DEFLATE: cell.deflate };
  const server = await Server.start({ file: peer.file, env }, runtime, cores?.server);
  try {
    if (cell.work === "idle") {
      const connections = Math.min(cell.connections, times.idleConnections);
      return await measureIdle(server, generator, { ...cell, connections }, raw);
    }
    await generator.open({ cell, port: server.port, raw });
    return await measureCpu(server, generator, times);
  } finally {
    await generator.close();
    await server.stop();
  }
}
