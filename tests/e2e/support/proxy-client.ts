/** Clients of the tests with proxies: the WebSocket of `ws` over TLS, from any address of the loopback. */

import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { request as startRequest } from "node:https";
import { text as textOf } from "node:stream/consumers";
import { onTestFinished } from "vitest";
import { type ClientOptions, WebSocket } from "ws";
import { type Certificate, certificate } from "../../support/certificate.ts";

/** The address from which clients connect, which is not that of the proxy. */
export const CLIENT_ADDRESS = "127.0.0.5";

export interface ProxyClientOptions extends ClientOptions {
  readonly protocols?: string[];
  /** The certificates that the client trusts. */
  readonly trusted?: readonly Certificate[];
}

/** A WebSocket that is open. */
export class ProxyClient {
  readonly socket: WebSocket;
  readonly messages: string[] = [];
  pings = 0;
  /** Resolves when the connection has ended. */
  readonly closed: Promise<{ code: number; reason: string; afterMs: number }>;
  #wake: () => void = () => {};

  /** Connects to a path at a port of this machine. Rejects with the status of a response that is not 101. */
  static async open(port: number, path: string, options: ProxyClientOptions = {}): Promise<ProxyClient> {
    const { protocols = [], trusted = [certificate()], ...rest } = options;
    const socket = new WebSocket(`wss://localhost:${port}${path}`, protocols, {
      ...{ ca: trusted.map(({ cert }) => cert), family: 4, localAddress: CLIENT_ADDRESS },
      ...rest,
    });
    // Messages may come together with the response.
    const client = new ProxyClient(socket);
    await once(socket, "open");
    return client;
  }

  private constructor(socket: WebSocket) {
    this.socket = socket;
    const startedAt = performance.now();
    socket.on("message", (data) => {
      this.messages.push(String(data));
      this.#wake();
    });
    socket.on("ping", () => {
      this.pings++;
      this.#wake();
    });
    this.closed = new Promise((resolve) =>
      socket.on("close", (code, reason) => {
        resolve({ code, reason: String(reason), afterMs: performance.now() - startedAt });
        this.#wake();
      })
    );
    onTestFinished(() => socket.terminate());
  }

  get isOpen(): boolean {
    return this.socket.readyState === WebSocket.OPEN;
  }

  /** Waits until this many messages have come. False if the connection ends before. */
  async has(messages: number, pings = 0): Promise<boolean> {
    while (this.messages.length < messages || this.pings < pings) {
      if (this.socket.readyState === WebSocket.CLOSED) return false;
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
    return true;
  }

  /** Waits for the message with this number, counted from 0. */
  async message(index = 0): Promise<string> {
    if (!await this.has(index + 1)) throw new Error(`The connection ended with ${(await this.closed).code}`);
    return this.messages[index]!;
  }
}

/** The response to a GET on a connection of its own. */
export async function get(port: number, path: string, headers: Record<string, string> = {}): Promise<string> {
  const request = startRequest({
    ...{ host: "localhost", port, path, headers, agent: false },
    ...{ ca: certificate().cert, family: 4, localAddress: CLIENT_ADDRESS },
  });
  request.end();
  const [response] = await once(request, "response") as [IncomingMessage];
  return await textOf(response);
}
