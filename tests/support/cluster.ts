/** Six processes, two of each runtime, with one topic: started, commanded and listened to. */

import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { onTestFinished } from "vitest";
import type { MemberCommand, MemberReport } from "./cluster-member.ts";
import { actualRuntime } from "./runtime.ts";

type Unnumbered<T> = T extends { id: number } ? Omit<T, "id"> : never;

const PROGRAM = join(import.meta.dirname, "cluster-member.ts");
// Under Node its own version is tested, whichever it is; under Deno and Bun the development dependency's.
const node = actualRuntime().startsWith("node") ? process.execPath : "node";
const COMMANDS: Record<string, string[]> = { node: [node], deno: ["deno", "run", "-A"], bun: ["bun"] };
const WAIT_MS = 20_000;
const TOPIC = "news";

/** Tells who waits when something has happened, and complains when it takes too long. */
class Bell {
  readonly #waiting = new Set<() => void>();

  ring(): void {
    for (const look of this.#waiting) look();
  }

  async until(holds: () => boolean, show: () => string): Promise<void> {
    if (holds()) return;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const look = (): void => {
      if (holds()) resolve();
    };
    this.#waiting.add(look);
    const timeout = setTimeout(() => reject(new Error(`Not within ${WAIT_MS} ms: ${show()}`)), WAIT_MS);
    try {
      await promise;
    } finally {
      clearTimeout(timeout);
      this.#waiting.delete(look);
    }
  }
}

/** One process, and a client of a socket in it. */
export class ClusterMember {
  readonly name: string;
  readonly runtime: string;
  /** What the client has received of each member's count, in order. */
  readonly numbers = new Map<string, number[]>();
  /** What the client has received besides. */
  readonly texts: string[] = [];
  isConnected = false;
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #answers = new Map<number, (result: never) => void>();
  readonly #bell: Bell;
  #client: WebSocket | undefined;
  #port: number | undefined;
  #ids = 0;

  constructor(runtime: string, name: string, library: string, brokerPort: number, bell: Bell) {
    this.name = name;
    this.runtime = runtime;
    this.#bell = bell;
    const [executable, ...args] = COMMANDS[runtime];
    const command = [...args, PROGRAM, name, library, String(brokerPort)];
    this.#child = spawn(executable, command, { stdio: ["pipe", "pipe", "inherit"] });
    this.#child.stdin.on("error", () => {});
    createInterface({ input: this.#child.stdout }).on("line", (line) => this.#take(JSON.parse(line) as MemberReport));
    onTestFinished(() => {
      this.#client?.close();
      this.#child.kill("SIGKILL");
    });
  }

  /** Its app listens. */
  get isListening(): boolean {
    return this.#port !== undefined;
  }

  /** Connects the client. Its socket is subscribed when this has resolved, in the app; at the broker soon after. */
  async enter(): Promise<void> {
    const client = this.#client = new WebSocket(`ws://127.0.0.1:${this.#port}/${TOPIC}`);
    client.onmessage = ({ data }) => this.#hear(String(data));
    // When its process is killed.
    client.onerror = () => {};
    await new Promise((resolve, reject) => {
      client.onopen = resolve;
      client.onclose = () => reject(new Error(`${this.name} has closed the connection`));
    });
  }

  /** Gives a command, and resolves with the answer. */
  tell<Result>(command: Unnumbered<MemberCommand>): Promise<Result> {
    const id = this.#ids++;
    this.#child.stdin.write(`${JSON.stringify({ id, ...command })}\n`);
    return new Promise((resolve) => this.#answers.set(id, resolve));
  }

  /** Ends its process as a power cut would. */
  async kill(): Promise<void> {
    const exited = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    await exited;
  }

  #take(report: MemberReport): void {
    if (report.event === "answer") {
      this.#answers.get(report.id)!(report.result as never);
      this.#answers.delete(report.id);
      return;
    }
    if (report.event === "listening") this.#port = report.port;
    else this.isConnected = report.isConnected;
    this.#bell.ring();
  }

  #hear(text: string): void {
    const [name, number] = text.split(":");
    if (number === undefined) this.texts.push(text);
    else {
      const numbers = this.numbers.get(name);
      if (numbers === undefined) this.numbers.set(name, [Number(number)]);
      else numbers.push(Number(number));
    }
    this.#bell.ring();
  }
}

export class Cluster {
  readonly members: readonly ClusterMember[];
  readonly #bell = new Bell();

  /** Two processes of each runtime; the libraries take turns. */
  static async start(libraries: readonly string[], brokerPort: number): Promise<Cluster> {
    const cluster = new Cluster(libraries, brokerPort);
    await cluster.until((member) => member.isListening && member.isConnected);
    await Promise.all(cluster.members.map((member) => member.enter()));
    await cluster.meet();
    return cluster;
  }

  private constructor(libraries: readonly string[], brokerPort: number) {
    const runtimes = ["node", "node", "deno", "deno", "bun", "bun"];
    this.members = runtimes.map((runtime, i) => {
      const name = `${runtime}-${i % 2 + 1}`;
      return new ClusterMember(runtime, name, libraries[i % libraries.length], brokerPort, this.#bell);
    });
  }

  /** Something holds for each of the members. */
  until(holds: (member: ClusterMember) => boolean, members: readonly ClusterMember[] = this.members): Promise<void> {
    // Most of what happens changes nothing for the first who is waited for.
    let waiting = [...members];
    const show = (): string => `${waiting.map(({ name }) => name)}: ${holds}`;
    return this.#bell.until(() => {
      while (waiting.length > 0 && holds(waiting[0])) waiting = waiting.slice(1);
      return waiting.length === 0;
    }, show);
  }

  /** Everyone hears everyone. Nobody can ask a broker whether it is so: they greet until all have been heard. */
  async meet(members: readonly ClusterMember[] = this.members): Promise<void> {
    const round = `${Math.random()}`;
    const greet = (): void => {
      for (const member of members) {
        void member.tell({ do: "publish", topic: TOPIC, texts: [`${member.name} ${round}`] });
      }
    };
    greet();
    const greeting = setInterval(greet, 100);
    try {
      await this.until(({ texts }) => members.every(({ name }) => texts.includes(`${name} ${round}`)), members);
    } finally {
      clearInterval(greeting);
    }
  }
}
