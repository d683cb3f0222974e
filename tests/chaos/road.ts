/**
 * The road between one client and the server: a TCP proxy for a single connection, which delays, splits, joins and
 * breaks as its plan says. Besides that it passes everything on, the backpressure and the ends of both sides included.
 */

import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { setImmediate as nextTurn, setTimeout as delay } from "node:timers/promises";
import type { Direction, RoadPlan, Spot } from "./plan.ts";

/** See the head of this file. */
export class Road {
  /** The port at which the road waits for its client. */
  readonly port: number;
  readonly #plan: RoadPlan;
  readonly #server: Server;
  readonly #serverPort: number;
  #client: Socket | undefined;
  #far: Socket | undefined;
  #isBroken = false;
  #hasVanished = false;
  /** The direction in which bytes are thrown away, because its end has been passed on already. */
  #dead: Direction | undefined;

  /** Builds a road to the server at `serverPort`, from a free port. */
  static async build(serverPort: number, plan: RoadPlan): Promise<Road> {
    const server = createServer({ allowHalfOpen: true, noDelay: true });
    await once(server.listen(0, "127.0.0.1"), "listening");
    return new Road(server, serverPort, plan);
  }

  private constructor(server: Server, serverPort: number, plan: RoadPlan) {
    this.#server = server;
    this.#serverPort = serverPort;
    this.#plan = plan;
    this.port = (server.address() as AddressInfo).port;
    server.once("connection", (client) => {
      server.close();
      this.#open(client);
    });
  }

  /** True when the road has broken as its plan says. */
  get isBroken(): boolean {
    return this.#isBroken;
  }

  /** Cuts both connections. */
  dispose(): void {
    this.#server.close();
    this.#client?.destroy();
    this.#far?.destroy();
  }

  #open(client: Socket): void {
    const far = connect({ port: this.#serverPort, host: "127.0.0.1", allowHalfOpen: true, noDelay: true });
    this.#client = client;
    this.#far = far;
    for (const socket of [client, far]) socket.on("error", () => {});
    const { end } = this.#plan;
    if (end?.direction === "clock") setTimeout(() => this.#break(), end.at);
    void this.#drive("up", client, far);
    void this.#drive("down", far, client);
  }

  /** Carries all bytes of one direction, and then their end. A connection that breaks breaks the other one, too. */
  async #drive(direction: Direction, from: Socket, to: Socket): Promise<void> {
    const lane = new Lane(to, this.#plan.spots[direction]);
    const { end } = this.#plan;
    let left = end?.direction === direction ? end.at : Infinity;
    try {
      for await (const chunk of from.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
        if (this.#hasVanished) return;
        if (this.#dead === direction) continue;
        await lane.carry(chunk.subarray(0, left));
        if (chunk.length < left) {
          left -= chunk.length;
          continue;
        }
        const rest = chunk.subarray(left);
        left = Infinity;
        lane.flush();
        await delay(end!.delayMs);
        this.#break();
        if (this.#hasVanished) return;
        if (this.#dead !== direction) await lane.carry(rest);
      }
      lane.flush();
      to.end();
    } catch {
      if (!this.#isBroken || this.#dead !== undefined) to.resetAndDestroy();
    }
  }

  #break(): void {
    const [client, far] = [this.#client!, this.#far!];
    if (this.#isBroken || (client.destroyed && far.destroyed)) return;
    this.#isBroken = true;
    switch (this.#plan.end!.how) {
      case "reset":
        client.resetAndDestroy();
        far.resetAndDestroy();
        break;
      case "reset the server":
        far.resetAndDestroy();
        client.destroySoon();
        break;
      case "reset the client":
        client.resetAndDestroy();
        far.destroySoon();
        break;
      case "end to the server":
        this.#dead = "up";
        far.end();
        break;
      case "end to the client":
        this.#dead = "down";
        client.end();
        break;
      case "vanish":
        this.#hasVanished = true;
    }
  }
}

/** Writes the bytes of one direction, with the spots of its plan. */
class Lane {
  readonly #to: Socket;
  readonly #spots: Spot[];
  #passed = 0;
  #crumbs = 0;
  #gathered: Buffer[] = [];
  #toGather = 0;

  constructor(to: Socket, spots: readonly Spot[]) {
    this.#to = to;
    this.#spots = [...spots];
  }

  async carry(chunk: Buffer): Promise<void> {
    for (let rest = chunk; rest.length > 0;) {
      const spot = this.#spots[0];
      const part = rest.subarray(0, spot === undefined ? rest.length : Math.max(0, spot.at - this.#passed));
      await this.#write(part);
      this.#passed += part.length;
      rest = rest.subarray(part.length);
      if (spot === undefined || this.#passed < spot.at) continue;
      this.#spots.shift();
      if (spot.kind === "wait") await delay(spot.ms);
      else if (spot.kind === "crumble") this.#crumbs = spot.bytes;
      else {
        this.#toGather = spot.bytes;
        setTimeout(() => this.flush(), spot.ms);
      }
    }
  }

  /** Writes what was gathered, in one write. */
  flush(): void {
    const gathered = Buffer.concat(this.#gathered);
    this.#gathered = [];
    this.#toGather = 0;
    if (gathered.length > 0) this.#push(gathered);
  }

  async #write(bytes: Buffer): Promise<void> {
    let rest = bytes;
    if (this.#crumbs > 0) this.flush();
    for (; this.#crumbs > 0 && rest.length > 0; rest = rest.subarray(1)) {
      this.#crumbs--;
      this.#push(rest.subarray(0, 1));
      await nextTurn();
    }
    if (rest.length === 0) return;
    if (this.#toGather > 0) {
      this.#gathered.push(rest);
      this.#toGather -= rest.length;
      if (this.#toGather <= 0) this.flush();
    } else if (!this.#push(rest)) {
      await taken(this.#to);
    }
  }

  /** Writes, unless the side has ended. Returns false when the operating system has to take the bytes first. */
  #push(bytes: Buffer): boolean {
    return !this.#to.writable || this.#to.write(bytes) || this.#to.destroyed;
  }
}

/** Resolves when the operating system has taken what was written, or when it never will. */
function taken(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    const settle = (): void => {
      socket.off("drain", settle).off("close", settle);
      resolve();
    };
    socket.on("drain", settle).on("close", settle);
  });
}
