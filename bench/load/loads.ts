/** The kinds of load. Each starts with everything at rest and ends only when every reply is in, so nothing straddles. */
import type { Cell } from "../cells.ts";
import { Connection } from "./connection.ts";
import { checkAgreement, deflateTraffics, offerOf } from "./deflate.ts";
import { closeFrame, isCloseFrame } from "./frames.ts";
import { plainTraffic, type Traffic } from "./traffic.ts";

export interface Target {
  cell: Cell;
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

async function openAll({ cell, port }: Target): Promise<Connection[]> {
  const offer = offerOf(cell);
  const connections: Connection[] = [];
  while (connections.length < cell.connections) {
    const wanted = Math.min(AT_ONCE, cell.connections - connections.length);
    const open = (): Promise<Connection> => Connection.open(port, cell.path, offer);
    connections.push(...await Promise.all(Array.from({ length: wanted }, open)));
  }
  try {
    for (const { extensions } of connections) checkAgreement(cell, extensions);
  } catch (error) {
    destroyAll(connections);
    throw error;
  }
  return connections;
}

async function trafficOf({ cell, raw }: Target): Promise<Traffic> {
  return cell.deflate === "off" ? plainTraffic(cell, raw) : (await deflateTraffics(cell, 1))[0];
}

/** One for each connection. A server that remembers what it compressed last is not to profit from all of them saying the same. */
function trafficsOf({ cell, raw }: Target): Traffic[] | Promise<Traffic[]> {
  if (cell.deflate !== "off") return deflateTraffics(cell, cell.connections);
  return Array<Traffic>(cell.connections).fill(plainTraffic(cell, raw));
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
  const { cell } = target;
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
          count += cell.inFlight;
          if (cell.inFlight === 1) latenciesMs.push(performance.now() - sentAt);
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
  const { cell } = target;
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
          count += cell.inFlight * receivers.length;
          if (cell.inFlight === 1) latenciesMs.push(performance.now() - sentAt);
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
async function handshake({ cell, port, raw }: Target): Promise<void> {
  const connection = await Connection.open(port, cell.path);
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
    await Promise.all(Array.from({ length: target.cell.connections }, worker));
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
  switch (target.cell.work) {
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
