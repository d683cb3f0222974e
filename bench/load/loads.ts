/** The kinds of load. Each starts with everything at rest and ends only when every reply is in, so nothing straddles. */
import { Connection } from "./connection.ts";
import { checkAgreement, deflateTraffics, offerOf } from "./deflate-traffic.ts";
import { closeFrame, isCloseFrame } from "./frames.ts";
import { plainTraffic, type Traffic } from "./traffic.ts";
import type { Workload } from "./workload.ts";

export interface Target {
  workload: Workload;
  port: number;
  /** The server echoes bytes, not messages: replies are masked as the requests were. */
  raw: boolean;
}

export interface Driven {
  /** Messages that came back; deliveries for a fan-out; handshakes. */
  count: number;
  latenciesMs: number[];
}

export interface Load {
  drive(seconds: number): Promise<Driven>;
  close(): void;
}

const AT_ONCE = 50;

async function openAll({ workload, port }: Target): Promise<Connection[]> {
  const offer = offerOf(workload);
  const connections: Connection[] = [];
  while (connections.length < workload.connections) {
    const wanted = Math.min(AT_ONCE, workload.connections - connections.length);
    const open = (): Promise<Connection> => Connection.open(port, workload.path, offer);
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

async function trafficOf({ workload, raw }: Target): Promise<Traffic> {
  return workload.deflate === "off" ? plainTraffic(workload, raw) : (await deflateTraffics(workload, 1))[0];
}

/** One for each connection. A server that remembers what it compressed last is not to profit from all of them saying the same. */
function trafficsOf({ workload, raw }: Target): Traffic[] | Promise<Traffic[]> {
  if (workload.deflate !== "off") return deflateTraffics(workload, workload.connections);
  return Array<Traffic>(workload.connections).fill(plainTraffic(workload, raw));
}

/** All batches, one after the other, from one connection; the replies are read on each of `receivers` and checked. */
async function verify(sender: Connection, receivers: Connection[], traffic: Traffic): Promise<void> {
  const heard = receivers.map((connection) => ({ connection, expected: traffic.expect(), chunks: [] as Buffer[] }));
  for (const batch of traffic.batches) {
    const replies = heard.map(({ connection, expected, chunks }) =>
      new Promise<void>((resolve, reject) => {
        expected.begin();
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
  for (const { chunks } of heard) traffic.verify(Buffer.concat(chunks));
}

function destroyAll(connections: Connection[]): void {
  for (const connection of connections) connection.destroy();
}

async function echoLoad(target: Target): Promise<Load> {
  const { workload } = target;
  const traffics = await trafficsOf(target);
  const connections = await openAll(target);
  const clients = connections.map((connection, index) => {
    const traffic = traffics[index];
    return { connection, traffic, expected: traffic.expect(), turn: 0 };
  });
  for (const { connection, traffic } of clients.slice(0, 4)) await verify(connection, [connection], traffic);

  const drive = (seconds: number): Promise<Driven> =>
    new Promise((resolve, reject) => {
      const latenciesMs: number[] = [];
      let count = 0;
      let busy = connections.length;
      let running = true;
      for (const client of clients) {
        const { connection, traffic: { batches }, expected } = client;
        let sentAt = 0;
        const send = (): void => {
          expected.begin();
          sentAt = performance.now();
          connection.write(batches[client.turn++ % batches.length]);
        };
        connection.onFault = reject;
        connection.onBytes = (bytes) => {
          if (!expected.take(bytes)) return;
          count += workload.inFlight;
          if (workload.inFlight === 1) latenciesMs.push(performance.now() - sentAt);
          if (running) send();
          else if (--busy === 0) resolve({ count, latenciesMs });
        };
        send();
      }
      setTimeout(() => (running = false), seconds * 1000);
    });
  return { drive, close: () => destroyAll(connections) };
}

async function fanLoad(target: Target): Promise<Load> {
  const { workload } = target;
  const traffic = await trafficOf(target);
  const connections = await openAll(target);
  const publisher = connections[0];
  await verify(publisher, connections, traffic);
  const receivers = connections.map((connection) => ({ connection, expected: traffic.expect() }));
  let turn = 0;

  const drive = (seconds: number): Promise<Driven> =>
    new Promise((resolve, reject) => {
      const latenciesMs: number[] = [];
      let count = 0;
      let sentAt = 0;
      let busy = 0;
      let running = true;
      const publish = (): void => {
        for (const { expected } of receivers) expected.begin();
        busy = receivers.length;
        sentAt = performance.now();
        publisher.write(traffic.batches[turn++ % traffic.batches.length]);
      };
      for (const { connection, expected } of receivers) {
        connection.onFault = reject;
        connection.onBytes = (bytes) => {
          if (!expected.take(bytes) || --busy > 0) return;
          count += workload.inFlight * receivers.length;
          if (workload.inFlight === 1) latenciesMs.push(performance.now() - sentAt);
          if (running) publish();
          else resolve({ count, latenciesMs });
        };
      }
      publish();
      setTimeout(() => (running = false), seconds * 1000);
    });
  return { drive, close: () => destroyAll(connections) };
}

/** Opens, closes with 1000, waits for the server's Close and for TCP to end. */
async function handshake({ workload, port, raw }: Target): Promise<void> {
  const connection = await Connection.open(port, workload.path);
  await new Promise<void>((resolve, reject) => {
    connection.onFault = reject;
    connection.onBytes = (bytes) => {
      if (!raw && !isCloseFrame(bytes)) {
        return reject(new Error(`Close was answered with ${Buffer.from(bytes).toString("hex")}`));
      }
      connection.end().then(resolve);
    };
    connection.write(closeFrame());
  });
}

async function handshakeLoad(target: Target): Promise<Load> {
  await handshake(target);
  const drive = async (seconds: number): Promise<Driven> => {
    const endsAt = performance.now() + seconds * 1000;
    let count = 0;
    const worker = async (): Promise<void> => {
      while (performance.now() < endsAt) {
        await handshake(target);
        count += 1;
      }
    };
    await Promise.all(Array.from({ length: target.workload.connections }, worker));
    return { count, latenciesMs: [] };
  };
  return { drive, close: () => {} };
}

/** Every connection has carried one message, as a real idle one has. */
async function idleLoad(target: Target): Promise<Load> {
  const traffic = await trafficOf(target);
  const connections = await openAll(target);
  for (let first = 0; first < connections.length; first += AT_ONCE) {
    const some = connections.slice(first, first + AT_ONCE);
    await Promise.all(some.map((connection) => verify(connection, [connection], traffic)));
  }
  const drive = (): Promise<Driven> => Promise.resolve({ count: connections.length, latenciesMs: [] });
  return { drive, close: () => destroyAll(connections) };
}

export function openLoad(target: Target): Promise<Load> {
  switch (target.workload.work) {
    case "echo":
      return echoLoad(target);
    case "fan":
      return fanLoad(target);
    case "handshake":
      return handshakeLoad(target);
    case "idle":
      return idleLoad(target);
  }
}
