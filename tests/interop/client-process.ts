/** Runs a client program for tests, and gives tests each of its connections. */

import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { Mailbox } from "./mailbox.ts";
import { type ClientEvent, type Command, toLine } from "./messages.ts";

type Unaddressed<T> = T extends { connection: number } ? Omit<T, "connection"> : never;
/** An event of one connection. */
export type ConnectionEvent = Unaddressed<ClientEvent>;

/** A running client program, with any number of connections. */
export class ClientProcess {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #connections: ClientConnection[] = [];
  #ended: Error | undefined;

  /** @param env variables for the program besides those of this process */
  constructor(command: readonly string[], env: NodeJS.ProcessEnv = {}) {
    const [executable, ...args] = command;
    const stdio: ["pipe", "pipe", "inherit"] = ["pipe", "pipe", "inherit"];
    this.#child = spawn(executable!, args, { stdio, env: { ...process.env, ...env } });
    createInterface({ input: this.#child.stdout }).on("line", (line) => {
      const { connection, ...event } = JSON.parse(line) as ClientEvent;
      this.#connections[connection]!.events.put(event);
    });
    this.#child.once("exit", (code, signal) => {
      this.#ended = new Error(`The client program ended with ${signal ?? `exit code ${code}`}`);
      for (const { events } of this.#connections) events.end(this.#ended);
    });
    // Writing to a program that has ended fails. The error is ignored, because the `exit` event reports the end.
    this.#child.stdin.on("error", () => {});
  }

  /** Begins a connection; its first event is `open` or `refused`. */
  connect(url: string): ClientConnection {
    const connection = this.#connections.length;
    const send = (command: Unaddressed<Command>): void => {
      this.#child.stdin.write(toLine({ connection, ...command } as Command));
    };
    const client = new ClientConnection(send);
    this.#connections.push(client);
    if (this.#ended) client.events.end(this.#ended);
    send({ do: "open", url });
    return client;
  }

  /** Kills the program, as a power cut would: its connections get no Close. */
  async kill(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    await exited;
  }
}

/** One connection of a client program. Its methods are commands to the program. */
export class ClientConnection {
  /** The events that the program reports, in order. */
  readonly events: Mailbox<ConnectionEvent> = new Mailbox();
  readonly #command: (command: Unaddressed<Command>) => void;

  constructor(command: (command: Unaddressed<Command>) => void) {
    this.#command = command;
  }

  send(data: string | Uint8Array): void {
    this.#command(typeof data === "string" ? { do: "send", text: data } : { do: "send", binary: base64(data) });
  }

  sendFragments(isBinary: boolean, fragments: readonly Uint8Array[]): void {
    this.#command({ do: "sendFragments", isBinary, fragments: fragments.map(base64) });
  }

  ping(data: Uint8Array): void {
    this.#command({ do: "ping", data: base64(data) });
  }

  close(code?: number, reason?: string): void {
    this.#command({ do: "close", ...(code !== undefined && { code }), ...(reason !== undefined && { reason }) });
  }

  terminate(): void {
    this.#command({ do: "terminate" });
  }
}

export function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("base64");
}
