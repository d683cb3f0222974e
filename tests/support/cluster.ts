/**
 * Six processes, two of each runtime, for all tests of a `describe` block. They are started, commanded and listened to
 * here.
 */

import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import type { MemberCommand, MemberReport } from "./cluster-member.ts";
import { actualRuntime } from "./runtime.ts";

type Unnumbered<T> = T extends { id: number } ? Omit<T, "id"> : never;

const PROGRAM = join(import.meta.dirname, "cluster-member.ts");
// Under Node, the members run under the same version. Under Deno and Bun, they run under the Node of the development
// dependencies.
const node = actualRuntime().startsWith("node") ? process.execPath : "node";
const COMMANDS: Record<string, string[]> = { node: [node], deno: ["deno", "run", "-A"], bun: ["bun"] };
const WAIT_MS = 20_000;

/** Lets callers wait for a condition, which is checked whenever `ring` is called. Rejects when it takes too long. */
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

/** One process, and a client of its app. */
export class ClusterMember {
  readonly name: string;
  readonly runtime: string;
  /** The numbers that the client has received of each member, in order. */
  readonly numbers = new Map<string, number[]>();
  /** All other messages that the client has received. */
  readonly texts: string[] = [];
  isConnected = false;
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #answers = new Map<number, (result: never) => void>();
  readonly #bell: Bell;
  #client: WebSocket | undefined;
  #port: number | undefined;
  #hasLeft = false;
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
  }

  /** The port where the app of the process listens. */
  get port(): number {
    if (this.#port === undefined) throw new Error(`${this.name} does not listen yet`);
    return this.#port;
  }

  /** Whether the app of the process listens. */
  get isListening(): boolean {
    return this.#port !== undefined;
  }

  /** Whether the process can take part in another test: neither `kill` nor `leave` was called. */
  get isThere(): boolean {
    return !this.#hasLeft;
  }

  /**
   * Connects a client that hears a topic, in place of the one before. When this has resolved, its socket is subscribed
   * in the app. At the broker it is subscribed soon after.
   */
  async enter(topic: string): Promise<void> {
    this.exit();
    this.numbers.clear();
    this.texts.length = 0;
    const client = this.#client = new WebSocket(`ws://127.0.0.1:${this.#port}/${topic}`);
    client.onmessage = ({ data }) => this.#hear(String(data));
    // An error comes when the process is killed.
    client.onerror = () => {};
    await new Promise((resolve, reject) => {
      client.onopen = resolve;
      client.onclose = () => reject(new Error(`${this.name} has closed the connection`));
    });
  }

  /** Sends a command, and resolves to its result. */
  tell<Result>(command: Unnumbered<MemberCommand>): Promise<Result> {
    const id = this.#ids++;
    this.#child.stdin.write(`${JSON.stringify({ id, ...command })}\n`);
    return new Promise((resolve) => this.#answers.set(id, resolve));
  }

  /** Takes the client away. */
  exit(): void {
    if (this.#client === undefined) return;
    this.#client.onmessage = null;
    this.#client.close();
    this.#client = undefined;
  }

  /** Closes the app. */
  async leave(): Promise<void> {
    this.#hasLeft = true;
    await this.tell({ do: "close" });
  }

  /** Stops the process until it is continued, as a debugger or a sleeping machine does. */
  freeze(): void {
    this.#child.kill("SIGSTOP");
  }

  thaw(): void {
    this.#child.kill("SIGCONT");
  }

  /** Kills the process without a chance to close. */
  async kill(): Promise<void> {
    this.#hasLeft = true;
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
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
  /** The topic of the current test. */
  topic = "";
  #members: readonly ClusterMember[] = [];
  readonly #libraries: readonly string[];
  readonly #brokerPort: number;
  readonly #bell = new Bell();
  #topics = 0;

  /** The processes use the libraries in turn. They are started by `meetAnew`. */
  constructor(libraries: readonly string[], brokerPort: number) {
    this.#libraries = libraries;
    this.#brokerPort = brokerPort;
  }

  get members(): readonly ClusterMember[] {
    return this.#members;
  }

  /**
   * Makes the cluster ready for a test: starts the processes that are not there, and lets a client of each process hear
   * a new topic. Two processes of each runtime are there when this has resolved.
   */
  async meetAnew(): Promise<void> {
    const runtimes = ["node", "node", "deno", "deno", "bun", "bun"];
    const old = this.#members;
    this.#members = runtimes.map((runtime, i) => old[i]?.isThere ? old[i] : this.#start(runtime, i));
    await Promise.all(old.filter((member) => !member.isThere).map((member) => member.kill()));
    this.topic = `news-${this.#topics++}`;
    await this.until((member) => member.isListening && member.isConnected);
    await Promise.all(this.members.map((member) => member.enter(this.topic)));
    await this.meet();
  }

  /** Kills all processes. */
  async dispose(): Promise<void> {
    for (const member of this.members) member.exit();
    await Promise.all(this.members.map((member) => member.kill()));
  }

  #start(runtime: string, i: number): ClusterMember {
    const library = this.#libraries[i % this.#libraries.length];
    return new ClusterMember(runtime, `${runtime}-${i % 2 + 1}`, library, this.#brokerPort, this.#bell);
  }

  /** Resolves once a condition holds for each of the members. */
  until(holds: (member: ClusterMember) => boolean, members: readonly ClusterMember[] = this.members): Promise<void> {
    // Members for which the condition held once are not checked again. Most events change nothing for the first that is
    // left.
    let waiting = [...members];
    const show = (): string => `${waiting.filter((member) => !holds(member)).map(({ name }) => name)}: ${holds}`;
    return this.#bell.until(() => {
      while (waiting.length > 0 && holds(waiting[0])) waiting = waiting.slice(1);
      return waiting.length === 0;
    }, show);
  }

  /**
   * Resolves once every client gets messages of every member. A broker cannot be asked for that, so the members publish
   * greetings until all have arrived.
   */
  async meet(members: readonly ClusterMember[] = this.members): Promise<void> {
    const round = `${Math.random()}`;
    const greet = (): void => {
      for (const member of members) {
        void member.tell({ do: "publish", topic: this.topic, texts: [`${member.name} ${round}`] });
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
