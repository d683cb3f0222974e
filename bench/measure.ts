/** One measurement: one peer, one cell, one fresh server process. */
import type { Cell } from "./cells.ts";
import type { Cores, Runtime } from "./machine.ts";
import { LIMIT, type Peer } from "./peers.ts";
import { type Generator, Server } from "./processes.ts";

export interface Sample {
  /** The cell's figure: server CPU in µs for a message (a delivery, a handshake), or KiB for an idle connection. */
  figure: number;
  perSecond: number | undefined;
  p50Ms: number | undefined;
  p99Ms: number | undefined;
  generatorShare: number | undefined;
  serverShare: number | undefined;
}

export interface Times {
  warmUpSeconds: number;
  seconds: number;
  idleConnections: number;
}

async function measureCpu(server: Server, generator: Generator, times: Times): Promise<Sample> {
  await generator.drive(times.warmUpSeconds);
  const before = await server.cpuMicroseconds();
  const { count, seconds, generatorShare, p50Ms, p99Ms } = await generator.drive(times.seconds);
  const spent = (await server.cpuMicroseconds()) - before;
  return {
    figure: spent / count,
    perSecond: count / seconds,
    p50Ms,
    p99Ms,
    generatorShare,
    serverShare: spent / 1e6 / seconds,
  };
}

/** A few connections come and go first, so that what a server sets up once is not counted against the connections. */
async function measureIdle(server: Server, generator: Generator, cell: Cell, raw: boolean): Promise<Sample> {
  const { port } = server;
  await generator.open({ cell: { ...cell, connections: 500 }, port, raw });
  await generator.close();
  const before = await server.residentBytes();
  await generator.open({ cell, port, raw });
  const after = await server.residentBytes();
  return {
    figure: (after - before) / 1024 / cell.connections,
    perSecond: undefined,
    p50Ms: undefined,
    p99Ms: undefined,
    generatorShare: undefined,
    serverShare: undefined,
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
  const server = await Server.start(peer, runtime, cores);
  try {
    if (cell.work === "idle") {
      return await measureIdle(server, generator, { ...cell, connections: times.idleConnections }, raw);
    }
    await generator.open({ cell, port: server.port, raw });
    return await measureCpu(server, generator, times);
  } finally {
    await generator.close();
    await server.stop();
  }
}
