/**
 * The kinds of load. Each one starts when no message is under way and ends when the last reply has come, so that no
 * message counts in one window and costs CPU time in another.
 */
import { Connection } from "./connection.ts";
import { checkAgreement, deflateTraffics, offerOf } from "./deflate-traffic.ts";
import { closeFrame, isCloseFrame } from "./frames.ts";
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
const AT_ONCE = 50;

async function openAll({ workload, port }: Target): Promise<Connection[]> {
  const offer = offerOf(workload);
  const connections: Connection[] = [];
  while (connections.length < workload.connections) {
    const wanted = Math.min(AT_ONCE, workload.connections - connections.length);
    const open = (): Promise<Connection> => Connection.open(port, workload.path, offer, workload.tls);
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

/**
 * The traffic of each connection. They differ, so that a server which keeps its last message, compressed or not, gains
 * nothing from connections that all send the same one.
 */
function trafficsOf({ workload, raw }: Target): Traffic[] | Promise<Traffic[]> {
  const { connections } = workload;
  return workload.deflate === "off"
    ? plainTraffics(workload, raw, connections)
    : deflateTraffics(workload, connections);
}

/** Sends each batch once from one connection, and checks the replies that each of `receivers` gets. */
async function verify(sender: Connection, receivers: Connection[], traffic: Traffic): Promise<void> {
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

function destroyAll(connections: Connection[]): void {
  for (const connection of connections) connection.destroy();
}

async function echoLoad(target: Target): Promise<Load> {
  const { workload } = target;
  const { mixture } = workload;
  const traffics = await trafficsOf(target);
  const connections = await openAll(target);
  const clients = connections.map((connection, index) => {
    const traffic = traffics[index];
    const isSlow = mixture !== undefined && (index + 1) % mixture.slowEvery === 0;
    return { connection, traffic, expected: traffic.expect(), turn: 0, waitMs: isSlow ? mixture.slowMs : 0 };
  });
  for (const { connection, traffic } of clients.slice(0, 4)) await verify(connection, [connection], traffic);

  const drive = (seconds: number): Promise<Driven> =>
    new Promise((resolve, reject) => {
      const latenciesMs: number[] = [];
      let count = 0;
      let busy = connections.length;
      let running = true;
      for (const client of clients) {
        const { connection, traffic: { batches }, expected, waitMs } = client;
        let sentAt = 0;
        const send = (): void => {
          const turn = client.turn++;
          expected.begin(turn);
          sentAt = performance.now();
          connection.write(batches[turn % batches.length]);
          if (waitMs === 0) return;
          connection.pause();
          setTimeout(() => connection.resume(), waitMs);
        };
        connection.onFault = reject;
        connection.onBytes = (bytes) => {
          if (!expected.take(bytes)) return;
          count += workload.inFlight;
          if (workload.inFlight === 1 && waitMs === 0) latenciesMs.push(performance.now() - sentAt);
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
        for (const { expected } of receivers) expected.begin(turn);
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

/** Opens a WebSocket, sends a Close with 1000, and waits for the server's Close and for TCP to be closed. */
async function handshake({ workload, port, raw }: Target): Promise<void> {
  const connection = await Connection.open(port, workload.path, undefined, workload.tls);
  await new Promise<void>((resolve, reject) => {
    connection.onFault = reject;
    connection.onBytes = (bytes) => {
      if (!raw && !isCloseFrame(bytes)) {
        return reject(new Error(`the server replied to Close with ${Buffer.from(bytes).toString("hex")}`));
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

/**
 * Every connection carries one batch before it falls idle, because a real idle connection has carried messages, too.
 */
async function idleLoad(target: Target): Promise<Load> {
  const traffics = target.workload.deflate === "off" ? await trafficsOf(target) : [await trafficOf(target)];
  const connections = await openAll(target);
  for (let first = 0; first < connections.length; first += AT_ONCE) {
    const some = connections.slice(first, first + AT_ONCE);
    await Promise.all(some.map((connection, index) => {
      return verify(connection, [connection], traffics[(first + index) % traffics.length]);
    }));
  }
  const drive = (): Promise<Driven> => Promise.resolve({ count: connections.length, latenciesMs: [] });
  return { drive, close: () => destroyAll(connections) };
}

/** Opens the connections, and checks that the server does what the workload asks of it. */
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
