/** One measurement: one peer in one cell, with a fresh server process. */
import { max, min, sum } from "simple-statistics";
import { kernelBytes } from "../shared/kernel.ts";
import { type Certificate, makeCertificate } from "../shared/certificate.ts";
import type { Cores, Runtime } from "../shared/machine.ts";
import type { Memory, Server } from "../shared/processes.ts";
import type { Cell } from "./cell.ts";
import type { GeneratorProcess } from "./generator-process.ts";
import { LIMIT, type Peer } from "./peers.ts";
import { Servers } from "./servers.ts";

/** The values of one round. */
export interface Sample {
  /** The cell's figure: server CPU in µs for each message (delivery, handshake), or KiB for each idle connection. */
  figure: number;
  perSecond: number | undefined;
  p50Ms: number | undefined;
  p99Ms: number | undefined;
  /** CPU time of the generator and of the server, each as a share of the time measured. */
  generatorShare: number | undefined;
  serverShare: number | undefined;
  /** Bytes on the wire for each message, to the server and back. */
  toServerBytes: number | undefined;
  toClientBytes: number | undefined;
  /**
   * KiB for each idle connection that the engine knows of: scatters less than `figure`, but leaves out the native part.
   */
  heapKiB: number | undefined;
  /**
   * KiB of the kernel for one end of each idle connection. Both ends are on this machine, and whatever other programs
   * open or close meanwhile counts too. Undefined on a system without /proc.
   */
  kernelKiB: number | undefined;
}

export interface Times {
  warmUpSeconds: number;
  seconds: number;
  /** The most connections that an idle cell opens. */
  idleConnections: number;
}

async function measureCpu(server: Servers, generator: GeneratorProcess, times: Times): Promise<Sample> {
  await generator.drive(times.warmUpSeconds);
  const before = await server.cpuMicroseconds();
  const { count, seconds, generatorShare, p50Ms, p99Ms, sentBytes, receivedBytes } = await generator.drive(
    times.seconds,
  );
  const after = await server.cpuMicroseconds();
  const spentBy = after.map((microseconds, index) => microseconds - before[index]);
  if (min(spentBy) < max(spentBy) / 10) throw new Error("one of the processes got hardly a connection");
  const spent = sum(spentBy);
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
    kernelKiB: undefined,
  };
}

/**
 * Other connections come before those that are measured, so that memory which a server sets up once is not counted.
 * Most cells open a few of them and close them again. A `trimmed` cell opens as many as it measures and keeps them
 * open, because the differences that it looks for are small.
 */
async function measureIdle(server: Server, generator: GeneratorProcess, cell: Cell, raw: boolean): Promise<Sample> {
  const { port } = server;
  const { trimmed = false } = cell;
  if (trimmed) {
    await generator.open({ workload: cell, port, raw });
  } else {
    const connections = Math.max(100, cell.connections / 20);
    await generator.open({ workload: { ...cell, connections }, port, raw });
    await generator.close();
  }
  const before = await server.memory(trimmed);
  const kernelBefore = kernelBytes();
  await generator.open({ workload: cell, port, raw });
  const after = await server.memory(trimmed);
  const kernelAfter = kernelBytes();
  const kibEach = (field: keyof Memory): number => (after[field] - before[field]) / 1024 / cell.connections;
  return {
    figure: kibEach("residentBytes"),
    heapKiB: kibEach("heapBytes"),
    kernelKiB: kernelBefore && kernelAfter && (kernelAfter - kernelBefore) / 2 / 1024 / cell.connections,
    perSecond: undefined,
    p50Ms: undefined,
    p99Ms: undefined,
    generatorShare: undefined,
    serverShare: undefined,
    toServerBytes: undefined,
    toClientBytes: undefined,
  };
}

const REUSED_PORT = { BENCH_REUSE_PORT: "1" };

let certificate: Certificate | undefined;

/** The certificate that all servers of this run share. */
function tlsEnv(): Record<string, string> {
  certificate ??= makeCertificate();
  return { BENCH_TLS_KEY: certificate.key, BENCH_TLS_CERT: certificate.cert };
}

/** Starts the peer, measures, and stops the peer. */
export async function measureCell(
  peer: Peer,
  runtime: Runtime,
  cell: Cell,
  generator: GeneratorProcess,
  cores: Cores | undefined,
  times: Times,
): Promise<Sample> {
  const raw = peer.id === LIMIT;
  const env = {
    ...peer.env,
    BENCH_DEFLATE: cell.deflate,
    ...(cell.tls && tlsEnv()),
    ...(cell.processes && REUSED_PORT),
  };
  const servers = new Servers();
  try {
    const core = cell.processes === undefined ? cores?.server : undefined;
    await servers.start({ file: peer.file, env }, runtime, core, cell.processes);
    if (cell.work === "idle") {
      const connections = Math.min(cell.connections, times.idleConnections);
      return await measureIdle(servers.first, generator, { ...cell, connections }, raw);
    }
    await generator.open({ workload: cell, port: servers.port, raw });
    return await measureCpu(servers, generator, times);
  } finally {
    await generator.close();
    await servers.stop();
  }
}
