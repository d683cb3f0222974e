/**
 * The kinds of load. Each one starts when no message is under way and ends when the last reply has come, so that no
 * message counts in one window and costs CPU time in another.
 */
import { Connection } from "./connection.ts";
import { fanLoad, topicLoad } from "./fan-load.ts";
import { closeFrame, isCloseFrame } from "./frames.ts";
import {
  AT_ONCE,
  destroyAll,
  type Driven,
  type Load,
  openAll,
  type Target,
  trafficOf,
  trafficsOf,
  verify,
} from "./load.ts";

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
    case "topics":
      return topicLoad(target);
    case "handshake":
      return handshakeLoad(target);
    case "idle":
      return idleLoad(target);
  }
}
