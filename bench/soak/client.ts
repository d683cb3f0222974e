/** One client of the soak: it counts messages, answers Pings, and ends its connection in one of several ways. */
import { Buffer } from "node:buffer";
import { Connection } from "../load/connection.ts";
import { closeFrame, headerAt, maskedFrame, OPCODE } from "../load/frames.ts";
import { command, type Counts } from "./traffic.ts";

/** How a connection ends: who ends it, and whether with a closing handshake. */
export const ENDS = ["client closes", "server closes", "client resets", "server cuts", "client sends FIN"] as const;
export type End = typeof ENDS[number];

/** How long the server may take over the end of a connection. It waits 5 s for a peer itself. */
const PATIENCE_MS = 60_000;

export class Client {
  /** True while a message waits for its reply. */
  isAwaiting = false;
  readonly #connection: Connection;
  readonly #counts: Counts;
  readonly #onFault: (error: Error) => void;
  /** The bytes of the current payload that have not come yet. */
  #left = 0;
  #rest: Buffer = Buffer.alloc(0);

  /** @param onFault called when the connection ends although nobody has asked for it */
  static async open(
    port: number,
    path: string,
    offer: string | undefined,
    counts: Counts,
    onFault: (error: Error) => void,
  ): Promise<Client> {
    return new Client(await Connection.open(port, path, offer), counts, onFault);
  }

  private constructor(connection: Connection, counts: Counts, onFault: (error: Error) => void) {
    this.#connection = connection;
    this.#counts = counts;
    this.#onFault = onFault;
    connection.onBytes = (bytes) => this.#read(bytes);
    connection.onFault = onFault;
  }

  get closed(): Promise<void> {
    return this.#connection.closed;
  }

  send(frame: Buffer): void {
    this.isAwaiting = true;
    this.#connection.write(frame);
  }

  /** Asks for a burst of messages and reads none of them for a while. The server may close the connection for that. */
  async readSlowly(messages: number, ms: number): Promise<void> {
    this.#connection.expectEnd();
    this.#connection.pause();
    this.#connection.write(command(`burst ${messages}`));
    await new Promise((resolve) => setTimeout(resolve, ms));
    this.#connection.resume();
  }

  /** Ends the connection; resolves when it is closed. */
  async end(how: End): Promise<void> {
    // A reset on the server's side is an error on this one.
    this.#connection.onFault = () => {};
    this.#connection.expectEnd();
    switch (how) {
      case "client closes":
        this.#connection.write(closeFrame());
        break;
      case "server closes":
        this.#connection.write(command("close"));
        break;
      case "server cuts":
        this.#connection.write(command("cut"));
        break;
      case "client resets":
        this.#connection.reset();
        break;
      case "client sends FIN":
        this.#connection.end();
        break;
    }
    const patience = setTimeout(() => {
      this.#onFault(new Error(`a connection was still open ${PATIENCE_MS / 1000} s after: ${how}`));
      this.#connection.destroy();
    }, PATIENCE_MS);
    await this.closed;
    clearTimeout(patience);
  }

  #read(chunk: Uint8Array): void {
    // Most chunks are whole frames. The chunk is valid only during this call, so a rest is copied.
    const bytes = this.#rest.length > 0 ? Buffer.concat([this.#rest, chunk]) : chunk;
    this.#rest = Buffer.alloc(0);
    let at = 0;
    for (;;) {
      const taken = Math.min(this.#left, bytes.length - at);
      at += taken;
      this.#left -= taken;
      if (this.#left > 0 || at === bytes.length) return;
      const header = headerAt(bytes, at);
      const isControl = header !== undefined && header.opcode >= OPCODE.close;
      const end = header === undefined ? Infinity : at + header.headerLength + (isControl ? header.payloadLength : 0);
      if (header === undefined || end > bytes.length) {
        this.#rest = Buffer.from(bytes.subarray(at));
        return;
      }
      const payload = bytes.subarray(at + header.headerLength, end);
      at = end;
      if (!isControl) {
        this.#left = header.payloadLength;
        this.#counts.messages += 1;
        this.isAwaiting = false;
      } else if (header.opcode === OPCODE.ping) {
        this.#counts.pings += 1;
        this.#connection.write(maskedFrame(OPCODE.pong, payload));
      } else if (header.opcode === OPCODE.close) {
        this.#onClose();
      }
    }
  }

  /** The server's Close: replies with a Close of its own, unless this one is the reply. The server then ends TCP. */
  #onClose(): void {
    this.#connection.write(closeFrame());
  }
}
