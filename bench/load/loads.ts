/** The kinds of load. Each starts with everything at rest and ends only when every reply is in, so nothing straddles. */
import type { Cell } from "../cells.ts";
import { Connection } from "./connection.ts";
import { type Batch, buildBatch, closeFrame, isCloseFrame, verifyReply } from "./frames.ts";

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

async function openAll(port: number, path: string, count: number): Promise<Connection[]> {
  const connections: Connection[] = [];
  while (connections.length < count) {
    const wanted = Math.min(AT_ONCE, count - connections.length);
    connections.push(...await Promise.all(Array.from({ length: wanted }, () => Connection.open(port, path))));
  }
  return connections;
}

/** One batch from the first connection; its whole reply is read on each of `receivers` and compared. */
async function verify(sender: Connection, receivers: Connection[], batch: Batch, raw: boolean): Promise<void> {
  const replies = receivers.map((receiver) =>
    new Promise<void>((resolve, reject) => {
      const reply = Buffer.alloc(batch.replyBytes);
      let received = 0;
      receiver.onFault = reject;
      receiver.onBytes = (bytes) => {
        if (received + bytes.length > reply.length) return reject(new Error("the server sent more than was asked for"));
        reply.set(bytes, received);
        received += bytes.length;
        if (received < reply.length) return;
        try {
          verifyReply(batch, reply, raw);
          resolve();
        } catch (error) {
          reject(error);
        }
      };
    })
  );
  sender.write(batch.request);
  await Promise.all(replies);
}

async function echoLoad({ cell, port, raw }: Target): Promise<Load> {
  const batch = buildBatch(cell, raw);
  const connections = await openAll(port, cell.path, cell.connections);
  for (const connection of connections.slice(0, 4)) await verify(connection, [connection], batch, raw);

  const drive = (seconds: number): Promise<Driven> =>
    new Promise((resolve, reject) => {
      const latenciesMs: number[] = [];
      let count = 0;
      let busy = connections.length;
      let running = true;
      for (const connection of connections) {
        let missing = batch.replyBytes;
        let sentAt = performance.now();
        connection.onFault = reject;
        connection.onBytes = (bytes) => {
          missing -= bytes.length;
          if (missing > 0) return;
          if (missing < 0) return reject(new Error("the server sent more than was asked for"));
          count += cell.inFlight;
          if (cell.inFlight === 1) latenciesMs.push(performance.now() - sentAt);
          if (running) {
            missing = batch.replyBytes;
            sentAt = performance.now();
            connection.write(batch.request);
          } else if (--busy === 0) resolve({ count, latenciesMs });
        };
        connection.write(batch.request);
      }
      setTimeout(() => (running = false), seconds * 1000);
    });
  return { drive, close: () => connections.forEach((connection) => connection.destroy()) };
}

async function fanLoad({ cell, port, raw }: Target): Promise<Load> {
  const batch = buildBatch(cell, raw);
  const connections = await openAll(port, cell.path, cell.connections);
  const publisher = connections[0];
  await verify(publisher, connections, batch, raw);

  const drive = (seconds: number): Promise<Driven> =>
    new Promise((resolve, reject) => {
      const latenciesMs: number[] = [];
      let count = 0;
      let sentAt = 0;
      let busy = 0;
      let running = true;
      const missing = new Int32Array(connections.length);
      const publish = (): void => {
        missing.fill(batch.replyBytes);
        busy = connections.length;
        sentAt = performance.now();
        publisher.write(batch.request);
      };
      connections.forEach((connection, index) => {
        connection.onFault = reject;
        connection.onBytes = (bytes) => {
          missing[index] -= bytes.length;
          if (missing[index] > 0) return;
          if (missing[index] < 0) return reject(new Error("the server sent more than was asked for"));
          if (--busy > 0) return;
          count += cell.inFlight * connections.length;
          if (cell.inFlight === 1) latenciesMs.push(performance.now() - sentAt);
          if (running) publish();
          else resolve({ count, latenciesMs });
        };
      });
      publish();
      setTimeout(() => (running = false), seconds * 1000);
    });
  return { drive, close: () => connections.forEach((connection) => connection.destroy()) };
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
async function idleLoad({ cell, port, raw }: Target): Promise<Load> {
  const batch = buildBatch(cell, raw);
  const connections = await openAll(port, cell.path, cell.connections);
  for (let first = 0; first < connections.length; first += AT_ONCE) {
    const some = connections.slice(first, first + AT_ONCE);
    await Promise.all(some.map((connection) => verify(connection, [connection], batch, raw)));
  }
  const drive = (): Promise<Driven> => Promise.resolve({ count: connections.length, latenciesMs: [] });
  return { drive, close: () => connections.forEach((connection) => connection.destroy()) };
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
