/**
 * A WebSocket client that comes back: `connect` makes a socket that replaces a lost connection by a new one. It runs in
 * browsers (ES2020), and under Node, Deno and Bun, with every server.
 *
 * The file imports nothing, and its syntax is ES2020, so that a page can load it without a bundler. For this reason it
 * has closures in place of private fields, and numbers without separators.
 *
 * @example
 * ```ts ignore
 * import { connect } from "@spacenode/spacenode/client";
 *
 * const socket = connect("wss://example.com/chat");
 * socket.addEventListener("message", ({ data }) => console.log(data));
 * socket.send("hello"); // Waits until the connection is open.
 * ```
 *
 * @module
 */

/** An address of a WebSocket server. `http:` and `https:` become `ws:` and `wss:`, and a page may give a path alone. */
export type ClientUrl = string | URL;

/** What can be sent: a string as text, and everything else as binary. */
export type ClientData = string | ArrayBuffer | ArrayBufferView | Blob;

/** The part of the browsers' `WebSocket` that the client uses. The class `WebSocket` of `ws` fits too. */
export interface WebSocketLike {
  /** Set to `"arraybuffer"`. */
  binaryType: string;
  /** The subprotocol that the server has chosen. */
  readonly protocol: string;
  /** 0 CONNECTING, 1 OPEN, 2 CLOSING, 3 CLOSED. */
  readonly readyState: number;
  /** The bytes that the network has not taken yet. */
  readonly bufferedAmount: number;
  /** Called when the connection is open. */
  // deno-lint-ignore no-explicit-any -- The events of the libraries have different types.
  onopen: ((event: any) => any) | null;
  /** Called with each message. */
  // deno-lint-ignore no-explicit-any -- As above.
  onmessage: ((event: any) => any) | null;
  /** Called when the connection has failed. A `close` follows. */
  // deno-lint-ignore no-explicit-any -- As above.
  onerror: ((event: any) => any) | null;
  /** Called at the end of the connection. */
  // deno-lint-ignore no-explicit-any -- As above.
  onclose: ((event: any) => any) | null;
  /** Sends a message. */
  // deno-lint-ignore no-explicit-any -- The libraries take different kinds of data.
  send(data: any): void;
  /** Begins the closing handshake. */
  close(code?: number, reason?: string): void;
}

/** A class that makes connections, such as the browsers' `WebSocket`. */
export interface WebSocketClass {
  /** Begins to connect. */
  new (url: string, protocols?: string[]): WebSocketLike;
}

/** Options of {@link connect}. */
export interface ClientOptions {
  /**
   * The subprotocols to offer, the preferred one first, or a function that returns them. The function is called for
   * each connection, so it can return a new token every time. Default: none.
   */
  protocols?: string[] | (() => string[] | Promise<string[]>);
  /**
   * Asks the server for the messages that were missed, in a topic with a history. The client remembers the id of the
   * last message, and adds it to the address as the parameter `since`, which the route hands to `socket.follow`. With
   * messages of several topics, no id comes with the address: {@link ReconnectingSocket.since} has one for each.
   *
   * - `true`: the client begins with the next message, or with the id that the address has as `since`.
   * - A function: it loads what the page shows first, and returns the id that comes with it. The client calls it before
   *   the first connection, and again whenever the server could not recover. A promise that rejects counts as a failed
   *   attempt.
   *
   * Either way, `message` events have the `data` as they were published, with their `topic` and `id`. Other messages
   * come as they are. Default `false`.
   */
  recover?: boolean | (() => string | Promise<string>);
  /**
   * The longest pause between two attempts, in milliseconds. The first pause is up to one second, and each further one
   * up to twice as long. Every pause is a random part of that time. Default 30,000.
   */
  maxRetryMs?: number;
  /**
   * How long a connection has to be open before the pauses begin at one second again, in milliseconds. Otherwise a
   * server that accepts and closes at once would be asked every second. Default 5,000.
   */
  minStableMs?: number;
  /**
   * How long an attempt may take, the functions for the address included, and how long the server may take to answer
   * `close`, in milliseconds. Default 10,000.
   */
  connectTimeoutMs?: number;
  /** Whether messages wait that are sent while there is no connection. When false, `send` throws. Default `true`. */
  queue?: boolean;
  /** The bytes that may wait. `send` throws for a message that would exceed them. Default 1 MiB. */
  maxQueuedBytes?: number;
  /** Close codes after which the client does not come back, besides 1008 and 4400 to 4499. Default: none. */
  giveUpCodes?: readonly number[];
  /**
   * Finds a dead connection, which a page does not notice by itself. After `intervalMs` (25,000) without a message, the
   * client sends the text U+0005. A connection on which nothing comes for `timeoutMs` (10,000) is replaced. `true`
   * stands for these times. The route needs the option `textHeartbeat`. Default `false`.
   */
  heartbeat?: boolean | { intervalMs?: number; timeoutMs?: number };
  /** The class that makes connections, for tests and old runtimes. Default: the global `WebSocket`. */
  WebSocket?: WebSocketClass;
}

/** A message of the server. */
export interface ClientMessageEvent extends Event {
  /** A string, or an ArrayBuffer for a binary message. */
  // deno-lint-ignore no-explicit-any -- As in the `MessageEvent` of browsers.
  readonly data: any;
  /** The topic of a message from a history. Needs the option `recover`. */
  readonly topic?: string;
  /** The id of a message from a history. Needs the option `recover`. */
  readonly id?: string;
}

/** The end of a connection. */
export interface ClientCloseEvent extends Event {
  /** The close code. 1006 when there was no connection, or when it broke. */
  readonly code: number;
  /** The reason that came with the code, or words of the client, such as "No heartbeat". */
  readonly reason: string;
}

/** A connection has ended or failed, and the client will try again. */
export interface ClientRetryEvent extends ClientCloseEvent {
  /** The time until the next attempt, in milliseconds. */
  readonly delayMs: number;
  /** 1 for the first attempt after a connection that was stable, and one more each time. */
  readonly attempt: number;
  /** What a function of the application has thrown, or the class `WebSocket`. Browsers tell no more of a failure. */
  readonly error?: unknown;
}

/** Messages of a topic are lost to the client. */
export interface ClientGapEvent extends Event {
  /** The topic. */
  readonly topic: string;
  /** The position from which the server goes on. */
  readonly id: string;
}

/** The events of a {@link ReconnectingSocket}. */
export interface ReconnectingSocketEvents {
  /** A connection is open: the first one, or a new one. What waits is sent behind what the listeners send. */
  open: Event;
  /** A message has come. */
  message: ClientMessageEvent;
  /** The client does not come back: `close` was called, or the server has closed with a code that says so. */
  close: ClientCloseEvent;
  /** A connection is lost, or could not be made, and the client waits before it tries again. */
  retry: ClientRetryEvent;
  /**
   * The server could not recover all messages (needs the option `recover`). With a function for `recover`, the client
   * connects anew and calls the function.
   */
  gap: ClientGapEvent;
}

/** A listener of a {@link ReconnectingSocket}. */
export type ClientListener<Type extends keyof ReconnectingSocketEvents> = (
  event: ReconnectingSocketEvents[Type],
) => unknown;

/** A socket that stays while its connections come and go. {@link connect} makes it. It is an `EventTarget`. */
export interface ReconnectingSocket {
  /** 0 while there is no connection, 1 when it is open, 2 after `close`, 3 at the end. */
  readonly readyState: 0 | 1 | 2 | 3;
  /** The bytes that wait, in the queue of the client and in the connection. */
  readonly bufferedAmount: number;
  /** The subprotocol of the connection. Empty while there is none. */
  readonly protocol: string;
  /**
   * Sends a message, or lets it wait for the next connection. What was sent on a connection that breaks may be lost.
   *
   * @throws Error when there is no connection, and the message cannot wait: with `queue: false`, when the queue is
   *   full, and after the end
   */
  send(data: ClientData): void;
  /** Ends the connection, and does not come back. `code` is 1000 by default. */
  close(code?: number, reason?: string): void;
  /** Tries to connect now instead of later: ends a pause, or an attempt. Has no effect while a connection is open. */
  reconnect(): void;
  /** The id of the last message of a topic, or undefined. Needs the option `recover`. */
  since(topic: string): string | undefined;
  /** Adds a listener. */
  addEventListener<Type extends keyof ReconnectingSocketEvents>(
    type: Type,
    listener: ClientListener<Type>,
    options?: { once?: boolean; signal?: AbortSignal },
  ): void;
  /** Removes a listener. */
  removeEventListener<Type extends keyof ReconnectingSocketEvents>(type: Type, listener: ClientListener<Type>): void;
}

/**
 * Connects to a server, and again whenever the connection is lost, until {@link ReconnectingSocket.close} is called or
 * the server closes with 1008, with 4400 to 4499, or with one of `giveUpCodes`. The first attempt begins behind the
 * running code. In a browser, a client that waits comes back at once when the machine is online again or when the page
 * becomes visible.
 *
 * @param url the address, or a function that returns it. The function is called for each connection, so it can return
 *   an address with a new token. When it throws or rejects, the attempt has failed, and `retry` tells the error.
 * @throws TypeError if the url is no address of ws:, wss:, http: or https:
 *
 * @example
 * ```ts ignore
 * import { connect } from "@spacenode/spacenode/client";
 *
 * const socket = connect(async () => `wss://example.com/chat?token=${await freshToken()}`, { heartbeat: true });
 * socket.addEventListener("retry", ({ delayMs }) => console.log(`Back in ${delayMs} ms`));
 * socket.addEventListener("close", ({ code }) => console.log(code === 4401 ? "Please log in" : "Good-bye"));
 * declare function freshToken(): Promise<string>;
 * ```
 */
export function connect(
  url: ClientUrl | (() => ClientUrl | Promise<ClientUrl>),
  options: ClientOptions = {},
): ReconnectingSocket {
  const {
    protocols,
    recover,
    maxRetryMs = 30000,
    minStableMs = 5000,
    connectTimeoutMs = 10000,
    queue = true,
    maxQueuedBytes = 1048576,
    giveUpCodes = [],
    heartbeat,
  } = options;
  const { intervalMs = 25000, timeoutMs = 10000 } = heartbeat as { intervalMs?: number; timeoutMs?: number } || {};
  const ids = new Map<string, string>();
  const queued: ClientData[] = [];
  let queuedBytes = 0;
  /** The id of the last message of all topics, or the one that `recover` has returned. */
  let last: string | undefined;
  let state: 0 | 1 | 2 | 3 = 0;
  let ws: WebSocketLike | undefined;
  /** Undefined until the connection of this turn is open. */
  let openedAt: number | undefined;
  let attempt = 0;
  /** Counts what makes earlier connections and attempts void: their events and results are ignored. */
  let turn = 0;
  let isWaiting = false;
  /** The deadline of an attempt, the pause before the next one, or the heartbeat: there is one at a time. */
  let timer: ReturnType<typeof setTimeout> | undefined;

  const setTimer = (run: () => void, delayMs: number): void => {
    clearTimeout(timer);
    timer = setTimeout(run, delayMs);
  };
  const emit = (type: string, details?: object): void => {
    socket.dispatchEvent(Object.assign(new Event(type), details));
  };
  const isOpen = (): boolean => ws?.readyState === 1;
  const parse = (address: ClientUrl): URL => {
    let parsed: URL | undefined;
    try {
      parsed = new URL(address, typeof location === "undefined" ? undefined : location.href);
    } catch { /* The error below says more, and the same in all runtimes. */ }
    if (!parsed || !/^(ws|http)s?:$/.test(parsed.protocol)) {
      throw new TypeError(`url must begin with ws:, wss:, http: or https:, or be a path in a page; got ${address}`);
    }
    parsed.protocol = parsed.protocol.replace("http", "ws");
    parsed.hash = ""; // A WebSocket refuses an address with a fragment. That of a page may have one.
    return parsed;
  };

  const start = async (): Promise<void> => {
    if (state) return;
    const own = ++turn;
    isWaiting = false;
    ws?.close();
    ws = openedAt = undefined;
    setTimer(() => drop("Timed out"), connectTimeoutMs);
    try {
      if (typeof recover === "function" && last === undefined) {
        const id = await recover();
        if (own !== turn) return;
        last = id;
      }
      const address = parse(await (typeof url === "function" ? url() : url));
      const offered = await (typeof protocols === "function" ? protocols() : protocols);
      if (own !== turn) return;
      // An id of one topic says nothing in another one.
      if (recover && last !== undefined && ids.size < 2) address.searchParams.set("since", last);
      const made: WebSocketLike = ws = new (options.WebSocket || WebSocket)(address.href, offered);
      made.binaryType = "arraybuffer";
      made.onopen = () => {
        if (own !== turn) return;
        openedAt = performance.now();
        clearTimeout(timer);
        beat();
        emit("open");
        while (queued.length && isOpen()) made.send(queued.shift());
        if (!queued.length) queuedBytes = 0;
      };
      made.onmessage = ({ data }) => {
        if (own !== turn) return;
        beat();
        if (!heartbeat || data !== "\x06") receive(data, address.searchParams.has("since"));
      };
      made.onerror = ({ error }) => {
        // A `close` follows, except in Node 22, where none comes for a handshake that has failed.
        if (own === turn && openedAt === undefined) lose(1006, "", error);
      };
      made.onclose = ({ code, reason }) => {
        if (own === turn) lose(code || 1006, reason); // Deno has 0 where others have 1006.
      };
    } catch (error) {
      if (own === turn) lose(1006, "", error);
    }
  };

  const receive = (text: unknown, isAsked: boolean): void => {
    let details: { data: unknown; topic?: string; id?: string } = { data: text };
    if (recover && typeof text === "string" && text.startsWith('{"topic":"')) {
      const { topic, id, data, recovered, encoding } = parseFrame(text);
      if (typeof id === "string") {
        const isKnown = isAsked || ids.has(topic);
        ids.set(topic, last = id);
        if (recovered === false && isKnown) {
          if (typeof recover === "function") {
            ids.clear();
            last = undefined;
          }
          emit("gap", { topic, id });
          if (!last && !state) drop("Not recovered");
        }
        if (recovered !== undefined) return;
        const bytes = encoding && Uint8Array.from(atob(data), (character) => character.charCodeAt(0)).buffer;
        details = { data: bytes || data, topic, id };
      }
    }
    emit("message", details);
  };

  /** Waits for the next message, and asks for a sign of life when there is none. */
  const beat = (): void => {
    if (heartbeat) setTimer(probe, intervalMs);
  };
  const probe = (): void => {
    ws!.send("\x05");
    setTimer(() => drop("No heartbeat"), timeoutMs);
  };

  /** Gives up a connection, or an attempt, without waiting for the other end. */
  const drop = (reason: string): void => {
    ws?.close();
    lose(1006, reason);
  };

  const lose = (code: number, reason: string, error?: unknown): void => {
    turn++;
    ws = undefined;
    if (state || code === 1008 || code >= 4400 && code < 4500 || giveUpCodes.includes(code)) return end(code, reason);
    if (performance.now() - openedAt! >= minStableMs) attempt = 0;
    openedAt = undefined;
    const delayMs = Math.random() * Math.min(maxRetryMs, 1000 * 2 ** attempt++);
    isWaiting = true;
    setTimer(start, delayMs);
    emit("retry", { delayMs, attempt, code, reason, error });
  };

  const end = (code: number, reason: string): void => {
    clearTimeout(timer);
    state = 3;
    if (typeof removeEventListener === "function") WAKING.forEach((type) => removeEventListener(type, wake));
    emit("close", { code, reason });
  };

  /** The network is there again, or the page is: a pause ends, and a connection has to prove that it is alive. */
  const wake = ({ type, target }: Event): void => {
    // The target is the document. Deno's types do not have that name.
    if (type === "visibilitychange" && (target as { hidden?: boolean } | null)?.hidden) return;
    if (isWaiting || type === "online" && !isOpen()) start();
    else if (heartbeat && isOpen()) probe();
  };

  class Socket extends EventTarget {
    get readyState(): 0 | 1 | 2 | 3 {
      return state || (isOpen() ? 1 : 0);
    }
    get bufferedAmount(): number {
      return queuedBytes + (ws ? ws.bufferedAmount : 0);
    }
    get protocol(): string {
      return ws ? ws.protocol : "";
    }
    send(data: ClientData): void {
      if (!state && isOpen()) return ws!.send(data);
      if (state) throw new Error("The socket is closed");
      if (!queue) throw new Error("There is no connection");
      const bytes = queuedBytes + new Blob([data as string]).size;
      if (bytes > maxQueuedBytes) throw new Error(`No more than ${maxQueuedBytes} bytes may wait, got ${bytes}`);
      queuedBytes = bytes;
      // The caller may change the bytes before they are sent.
      queued.push(
        ArrayBuffer.isView(data)
          ? data.buffer.slice(data.byteOffset, data.byteOffset + data.byteLength) as ArrayBuffer
          : data.slice(0),
      );
    }
    close(code = 1000, reason = ""): void {
      if (state) return;
      ws?.close(code, reason);
      state = 2;
      if (openedAt !== undefined) return setTimer(() => drop("Timed out"), connectTimeoutMs);
      turn++;
      clearTimeout(timer);
      Promise.resolve().then(() => end(code, reason));
    }
    reconnect(): void {
      if (!isOpen()) start();
    }
    since(topic: string): string | undefined {
      return ids.get(topic);
    }
  }

  if (typeof url !== "function") parse(url);
  const socket = new Socket();
  if (typeof addEventListener === "function") WAKING.forEach((type) => addEventListener(type, wake));
  Promise.resolve().then(start);
  return socket as ReconnectingSocket;
}

/** A frame of a history. A text that only begins like one has no id, or is no JSON. */
function parseFrame(
  text: string,
): { topic: string; id?: string; data: string; recovered?: boolean; encoding?: string } {
  try {
    return JSON.parse(text);
  } catch {
    return { topic: "", data: "" };
  }
}

/** The events of a browser after which a pause ends. */
const WAKING = ["online", "pageshow", "resume", "visibilitychange"];
