/** What all kinds of load have in common: their connections, their traffic, and the check of the first replies. */
import { Connection } from "./connection.ts";
import { checkAgreement, deflateTraffics, offerOf } from "./deflate-traffic.ts";
import { plainTraffic, plainTraffics, type Traffic } from "./traffic.ts";
import type { Workload } from "./workload.ts";

export interface Target {
  workload: Workload;
  port: number;
  /** True when the server echoes bytes instead of messages: the replies are then masked like the requests. */
  raw: boolean;
}

export interface Driven {
  /** The messages that came back, the deliveries of a fan-out, or the handshakes. */
  count: number;
  /** The time of each round trip, without those of slow clients; empty unless one message is in flight at a time. */
  latenciesMs: number[];
}

export interface Load {
  drive(seconds: number): Promise<Driven>;
  close(): void;
}

/** How many connections are opened or checked at a time. */
export const AT_ONCE = 50;

export async function openAll({ workload, port }: Target): Promise<Connection[]> {
  const offer = offerOf(workload);
  const connections: Connection[] = [];
  while (connections.length < workload.connections) {
    const wanted = Math.min(AT_ONCE, workload.connections - connections.length);
    const open = (_: unknown, index: number): Promise<Connection> => {
      // The path tells the server which socket it has, and so to which topics the socket is subscribed.
      const path = workload.work === "topics" ? `${workload.path}/${connections.length + index}` : workload.path;
      return Connection.open(port, path, offer, workload.tls, workload.greeted);
    };
    connections.push(...await Promise.all(Array.from({ length: wanted }, open)));
  }
  try {
    for (const { extensions } of connections) checkAgreement(workload, extensions);
  } catch (error) {
    destroyAll(connections);
    throw error;
  }
  return connections;
}

export async function trafficOf({ workload, raw }: Target): Promise<Traffic> {
  return workload.deflate === "off" ? plainTraffic(workload, raw) : (await deflateTraffics(workload, 1))[0];
}

/**
 * The traffic of each connection. They differ, so that a server which keeps its last message, compressed or not, gains
 * nothing from connections that all send the same one.
 */
export function trafficsOf({ workload, raw }: Target): Traffic[] | Promise<Traffic[]> {
  const { connections } = workload;
  return workload.deflate === "off"
    ? plainTraffics(workload, raw, connections)
    : deflateTraffics(workload, connections);
}

/** Sends each batch once from one connection, and checks the replies that each of `receivers` gets. */
export async function verify(sender: Connection, receivers: Connection[], traffic: Traffic): Promise<void> {
  const listening = receivers.map((connection) => ({ connection, expected: traffic.expect(), chunks: [] as Buffer[] }));
  for (const [turn, batch] of traffic.batches.entries()) {
    const replies = listening.map(({ connection, expected, chunks }) =>
      new Promise<void>((resolve, reject) => {
        expected.begin(turn);
        connection.onFault = reject;
        connection.onBytes = (bytes) => {
          chunks.push(Buffer.from(bytes));
          if (expected.take(bytes)) resolve();
        };
      })
    );
    sender.write(batch);
    await Promise.all(replies);
  }
  for (const { chunks } of listening) traffic.verify(Buffer.concat(chunks));
}

export function destroyAll(connections: Connection[]): void {
  for (const connection of connections) connection.destroy();
}
