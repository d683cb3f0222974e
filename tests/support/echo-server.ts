/** An echo server for a test file or a `describe` block. It gives tests both ends of each connection. */

import { afterAll, beforeAll, expect } from "vitest";
import { type App, type AppOptions, createApp, type Socket } from "../../mod.ts";
import { close, text } from "./frames.ts";
import { type ConnectOptions, RawClient } from "./raw-client.ts";

/** The `error` and `close` events of the server's socket so far. */
interface Report {
  errors: unknown[];
  closes: { code: number; reason: string; wasClean: boolean }[];
}

/** Both ends of one connection. */
export interface EchoConnection {
  client: RawClient;
  /** The server's end of the same connection. */
  socket: Socket;
  report: Report;
  /** Resolves at the server's `close` event. */
  reported: Promise<void>;
}

export interface EchoServer {
  readonly app: App;
  readonly port: number;
  /** Opens a connection, and resolves once the client and the server's socket are there. */
  connect(options?: ConnectOptions): Promise<EchoConnection>;
}

/**
 * Starts an echo server before the tests of the file or block that calls this function, and closes it after them. The
 * last test must leave no socket open.
 */
export function echoServer(options: AppOptions = {}): EchoServer {
  const arrivals = new Map<string, (arrival: { socket: Socket; report: Report; reported: Promise<void> }) => void>();
  let app: App | undefined;
  let connections = 0;

  beforeAll(async () => {
    app = await createApp({ logger: false, ...options });
    app.ws("/", (socket, req) => {
      const report: Report = { errors: [], closes: [] };
      socket.on("message", (data) => socket.send(data));
      socket.on("error", (error) => report.errors.push(error));
      const reported = new Promise<void>((resolve) => {
        socket.on("close", (code, reason, wasClean) => {
          report.closes.push({ code, reason, wasClean });
          resolve();
        });
      });
      arrivals.get(req.query.get("id") ?? "")?.({ socket, report, reported });
    });
    await app.listen({ port: 0, host: "127.0.0.1" });
  });

  afterAll(async () => {
    const left = await app?.close({ timeoutMs: 2_000 });
    expect(left?.terminated, "connections that the tests have left open").toBe(0);
  });

  return {
    get app(): App {
      return app!;
    },
    get port(): number {
      return Number(new URL(app!.url).port);
    },
    async connect(options = {}) {
      const id = String(++connections);
      const arrived = new Promise<Omit<EchoConnection, "client">>((resolve) => arrivals.set(id, resolve));
      const client = await RawClient.connect(this.port, { path: `/?id=${id}`, ...options });
      const connection = { client, ...await arrived };
      arrivals.delete(id);
      return connection;
    },
  };
}

/** Shows that the server is well: a new connection is accepted, gets its echo, and is closed cleanly. */
export async function expectEcho(server: EchoServer): Promise<void> {
  const { client, report, reported } = await server.connect();
  client.send(text("still well"), close(1000));
  expect(await client.nextMessage()).toBe("still well");
  expect((await client.closed()).code).toBe(1000);
  await reported;
  expect(report.closes).toEqual([{ code: 1000, reason: "", wasClean: true }]);
}
