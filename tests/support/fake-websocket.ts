/** A class in place of `WebSocket` for tests of clients: the test says when its connections open, fail and end. */

/** One connection of a client. */
export class FakeWebSocket extends EventTarget {
  // reconnecting-websocket takes only classes that have the constants.
  static readonly CLOSING = 2;
  readonly CONNECTING = 0;
  readonly OPEN = 1;
  readonly CLOSING = 2;
  readonly CLOSED = 3;
  binaryType = "blob";
  protocol = "";
  readyState: 0 | 1 | 2 | 3 = 0;
  bufferedAmount = 0;
  onopen: ((event: Event) => unknown) | null = null;
  onmessage: ((event: Event & { data: unknown }) => unknown) | null = null;
  onerror: ((event: Event) => unknown) | null = null;
  onclose: ((event: Event & { code: number; reason: string }) => unknown) | null = null;
  readonly url: string;
  readonly protocols: string | string[] | undefined;
  /** What the client has sent. */
  readonly sent: unknown[] = [];
  /** The arguments of the calls of `close`. */
  readonly closes: (readonly [code: number | undefined, reason: string | undefined])[] = [];

  constructor(url: string, protocols?: string | string[]) {
    super();
    this.url = url;
    this.protocols = protocols;
  }

  send(data: unknown): void {
    if (this.readyState === 0) throw new DOMException("Still in CONNECTING state", "InvalidStateError");
    if (this.readyState === 1) this.sent.push(data);
  }

  close(code?: number, reason?: string): void {
    if (code !== undefined && code !== 1000 && !(code >= 3000 && code <= 4999)) {
      throw new DOMException(`${code} is no code of a page`, "InvalidAccessError");
    }
    this.closes.push([code, reason]);
    if (this.readyState < 2) this.readyState = 2;
  }

  // What the test does.

  /** The server accepts. */
  open(protocol = ""): this {
    this.protocol = protocol;
    this.readyState = 1;
    this.#emit("open", {});
    return this;
  }

  /** A message comes. */
  receive(data: unknown): void {
    this.#emit("message", { data });
  }

  /** The connection has ended: with 1006 when it could not be made, or when it broke. */
  end(code = 1006, reason = ""): void {
    this.readyState = 3;
    if (code === 1006) this.fail();
    this.#emit("close", { code, reason, wasClean: code !== 1006 });
  }

  /** The connection could not be made, or has broken. */
  fail(error?: Error): void {
    this.readyState = 3;
    this.#emit("error", error === undefined ? {} : { error });
  }

  #emit(type: string, details: object): void {
    const event = Object.assign(new Event(type), details);
    const listener = this[`on${type}` as "onopen"] as ((event: Event) => unknown) | null;
    listener?.(event);
    this.dispatchEvent(event);
  }
}

/** The connections that were made with a class of their own. */
export interface FakeNetwork {
  readonly WebSocket: typeof FakeWebSocket;
  /** All connections so far, the oldest first. */
  readonly made: FakeWebSocket[];
  /** The newest connection. */
  readonly newest: FakeWebSocket;
}

/** A class whose connections go to nowhere but the test. */
export function fakeNetwork(): FakeNetwork {
  const made: FakeWebSocket[] = [];
  return {
    made,
    get newest() {
      return made.at(-1)!;
    },
    WebSocket: class extends FakeWebSocket {
      constructor(url: string, protocols?: string | string[]) {
        super(url, protocols);
        made.push(this);
      }
    },
  };
}
