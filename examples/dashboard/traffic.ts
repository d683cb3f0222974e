/** The visitors of the demo: they come and go, talk in rooms, measure echoes, and load more than they can read. */

import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import type { App } from "../../mod.ts";

const ROOMS = ["lobby", "tea", "books"];

export class Traffic {
  readonly #app: App;
  readonly #port: number;

  constructor(app: App) {
    this.#app = app;
    this.#port = app.address!.port;
  }

  /** Begins. Everybody goes when the app closes. */
  start(): void {
    for (let i = 0; i < 120; i++) void this.#visit(ROOMS[i % 7 % ROOMS.length], i);
    for (let i = 0; i < 8; i++) void this.#measure();
    for (let i = 0; i < 3; i++) void this.#load();
    void this.#stumble();
  }

  /** Waits, and tells whether the app still takes connections. */
  async #wait(ms: number): Promise<boolean> {
    await sleep(ms, undefined, { ref: false });
    return this.#app.isReady;
  }

  /** A visitor of a room, who is there for a part of each minute. The more are there, the more is said. */
  async #visit(room: string, i: number): Promise<void> {
    await this.#wait(Math.random() * 2_000);
    while (this.#app.isReady) {
      const socket = await this.#open(`/rooms/${room}`);
      const stayMs = 8_000 + 30_000 * Math.random();
      const leavesAt = Date.now() + stayMs;
      while (Date.now() < leavesAt && await this.#wait(200 + 3_000 * Math.random())) {
        socket?.send(`Visitor ${i} says that it is ${new Date().toISOString()}. ${"Well, well. ".repeat(i % 9)}`);
      }
      if (i % 10 === 0) socket?.close(4000, "Enough");
      else socket?.close(1000);
      const tide = 1 + Math.sin(Date.now() / 9_000);
      await this.#wait(1_000 + 12_000 * tide * Math.random());
    }
  }

  /** A client that waits for the echo of each message. */
  async #measure(): Promise<void> {
    const socket = await this.#open("/echo");
    socket?.addEventListener("message", async () => {
      const tide = 1 + Math.sin(Date.now() / 5_000);
      if (await this.#wait(10 + 60 * tide)) socket.send("x".repeat(2_000 * Math.random()));
    });
    socket?.send("x");
  }

  /** A client with a slow network: it does not read for a while. */
  async #load(): Promise<void> {
    while (await this.#wait(500 + 4_000 * Math.random())) {
      const socket = connect(this.#port, "127.0.0.1");
      socket.on("error", () => {});
      socket.write(
        `GET /downloads HTTP/1.1\r\nHost: localhost:${this.#port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
          "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
      );
      socket.pause();
      for (let i = 0; i < 12 && !socket.destroyed; i++) {
        // A text of seven characters, masked with zeros: the size of the next download.
        socket.write(Buffer.concat([Buffer.from([0x81, 0x87, 0, 0, 0, 0]), Buffer.from("1000000")]));
        if (!await this.#wait(150 + 500 * Math.random())) break;
      }
      socket.resume();
      if (this.#app.isReady) await this.#wait(1_500);
      socket.destroy();
    }
  }

  /** Somebody asks for what is not there, and something keeps the event loop busy. */
  async #stumble(): Promise<void> {
    while (await this.#wait(2_000 + 6_000 * Math.random())) {
      await this.#open("/nowhere");
      const busyUntil = performance.now() + 15 + 45 * Math.random();
      while (performance.now() < busyUntil);
    }
  }

  /** Resolves to undefined if the connection was refused. */
  #open(path: string): Promise<WebSocket | undefined> {
    const socket = new WebSocket(`ws://127.0.0.1:${this.#port}${path}`);
    return new Promise((resolve) => {
      socket.onopen = () => resolve(socket);
      socket.onerror = () => resolve(undefined);
    });
  }
}
