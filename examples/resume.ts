/**
 * When at most once is not enough: topics forget what is said while somebody is away, a log does not. Each room is a Redis Stream, or a subject of a JetStream stream. A
 * client says which message it has seen last when it connects, to whichever process, and gets all that came after it, once and in order. Start a server, then this with
 * its address; open the address it prints, and cut the connection, end this process or start it twice:
 *
 *     node examples/resume.ts redis://localhost:6379        (or: deno run -A …, bun …; or: nats://localhost:4222, of nats-server --jetstream)
 */

import { DeliverPolicy, jetstream, type JetStreamClient, jetstreamManager } from "@nats-io/jetstream";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { Buffer } from "node:buffer";
import process from "node:process";
import { createClient, type RedisClientType } from "redis";
import { createApp, HttpError, type Socket } from "../mod.ts";

interface Entry {
  readonly id: string;
  readonly text: string;
}

/** What is said in rooms, kept for all processes. */
interface Log {
  readonly id: RegExp;
  append(room: string, text: string): Promise<unknown>;
  /** What came after an id, or all that is kept; then what comes, for ever. */
  follow(room: string, after: string, signal: AbortSignal): AsyncIterable<Entry>;
  end(): Promise<unknown>;
}

/** So much of each room is kept. */
const KEPT = 1_000;

class RedisLog implements Log {
  readonly id = /^\d{1,15}-\d{1,15}$/;
  readonly #client: RedisClientType;
  readonly #subscriber: RedisClientType;
  /** Resolves when something has been said in any room: one for all keeps this example small. */
  #news = Promise.withResolvers<void>();

  private constructor(client: RedisClientType) {
    this.#client = client;
    this.#subscriber = client.duplicate();
    for (const each of [client, this.#subscriber]) each.on("error", ({ message }) => console.error("Redis:", message));
  }

  static async open(url: string): Promise<RedisLog> {
    const log = new RedisLog(createClient({ url, disableOfflineQueue: true }));
    await Promise.all([log.#client.connect(), log.#subscriber.connect()]);
    await log.#subscriber.subscribe("news", () => log.#tell());
    // What was told while the link was cut is in the stream.
    log.#subscriber.on("ready", () => log.#tell());
    return log;
  }

  async append(room: string, text: string): Promise<void> {
    const limit = { strategy: "MAXLEN", strategyModifier: "~", threshold: KEPT } as const;
    await this.#client.xAdd(`room:${room}`, "*", { text }, { TRIM: limit });
    await this.#client.publish("news", room);
  }

  async *follow(room: string, after: string, signal: AbortSignal): AsyncIterable<Entry> {
    let last = after === "" ? "0-0" : after;
    const stopped = new Promise((resolve) => signal.addEventListener("abort", resolve));
    while (!signal.aborted) {
      // Taken before reading: what is said meanwhile is not slept through.
      const news = this.#news.promise;
      const entries = await this.#client.xRange(`room:${room}`, `(${last}`, "+", { COUNT: 100 }) ?? [];
      for (const { id, message } of entries) yield { id: last = id, text: message.text };
      if (entries.length === 0) await Promise.race([news, stopped]);
    }
  }

  end(): Promise<unknown> {
    return Promise.all([this.#client.close(), this.#subscriber.close()]);
  }

  #tell(): void {
    this.#news.resolve();
    this.#news = Promise.withResolvers();
  }
}

class JetStreamLog implements Log {
  readonly id = /^\d{1,15}$/;
  readonly #connection: NatsConnection;
  readonly #stream: JetStreamClient;

  private constructor(connection: NatsConnection) {
    this.#connection = connection;
    this.#stream = jetstream(connection);
  }

  static async open(servers: string): Promise<JetStreamLog> {
    const connection = await connect({ servers, waitOnFirstConnect: true, maxReconnectAttempts: -1 });
    const { streams } = await jetstreamManager(connection);
    await streams.add({ name: "ROOMS", subjects: ["rooms.*"], max_msgs_per_subject: KEPT });
    return new JetStreamLog(connection);
  }

  append(room: string, text: string): Promise<unknown> {
    return this.#stream.publish(subjectOf(room), text);
  }

  /** An ordered consumer for each socket: with very many of them, have one for each room. */
  async *follow(room: string, after: string, signal: AbortSignal): AsyncIterable<Entry> {
    const start = after === ""
      ? { deliver_policy: DeliverPolicy.All }
      : { deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: Number(after) + 1 };
    const consumer = await this.#stream.consumers.get("ROOMS", { filter_subjects: subjectOf(room), ...start });
    const messages = await consumer.consume();
    signal.addEventListener("abort", () => void messages.close());
    if (signal.aborted) return;
    for await (const message of messages) yield { id: String(message.seq), text: message.string() };
  }

  end(): Promise<unknown> {
    return this.#connection.drain();
  }
}

/** A subject may not have any character. */
function subjectOf(room: string): string {
  return `rooms.${Buffer.from(room).toString("base64url")}`;
}

const address = new URL(process.argv[2] ?? "redis://localhost:6379");
const log: Log = address.protocol === "nats:"
  ? await JetStreamLog.open(address.host)
  : await RedisLog.open(address.href);
const app = await createApp({ wsOrigins: "same-origin" });

app.ws("/rooms/:room", {
  upgrade: ({ query, params: { room } }) => {
    // A subject of NATS has no room for more, and who sends a longer one is cut off.
    if (room.length > 100) throw new HttpError(400, "The name of a room has at most 100 characters");
    const after = query.get("after") ?? "";
    if (after !== "" && !log.id.test(after)) throw new HttpError(400, "after must be the id of a message");
    return after;
  },
}, (socket, { params: { room } }) => {
  socket.on("message", (text) => void orLater(socket, log.append(room, String(text))));
  void orLater(socket, bring(socket, room));
});

/** Sends what is new to the client, at the speed of the client. */
async function bring(socket: Socket<string>, room: string): Promise<void> {
  const closed = new AbortController();
  socket.on("close", () => closed.abort());
  for await (const entry of log.follow(room, socket.data, closed.signal)) {
    if (!socket.send(JSON.stringify(entry))) await socket.drained();
  }
}

/** What goes wrong ends the connection; the client comes back, and goes on where it was. */
async function orLater(socket: Socket<string>, work: Promise<unknown>): Promise<void> {
  try {
    await work;
  } catch (error) {
    if (socket.readyState !== socket.OPEN) return;
    console.error(`Somebody has to try again later: ${error}`);
    socket.close(1013, "Try again later");
  }
}

app.get("/", () => new Response(PAGE, { headers: { "Content-Type": "text/html; charset=utf-8" } }));

const PAGE = `<!doctype html>
<title>Resume</title>
<p id="state"></p>
<form id="form"><input id="text" placeholder="Say something" autofocus></form>
<button id="cut">Be away for five seconds</button>
<ul id="heard"></ul>
<script>
  let socket, last = "", waitMs = 250;
  const connect = () => {
    socket = new WebSocket("/rooms/tea?after=" + last);
    socket.onopen = () => { state.textContent = "Here"; waitMs = 250; };
    socket.onmessage = ({ data }) => {
      const entry = JSON.parse(data);
      last = entry.id;
      heard.append(Object.assign(document.createElement("li"), { textContent: entry.text }));
    };
    socket.onclose = ({ code }) => {
      state.textContent = "Away";
      // Clients that were cut together must not all come back together.
      setTimeout(connect, code === 1000 ? 5_000 : waitMs * (1 + Math.random()));
      waitMs = Math.min(waitMs * 2, 10_000);
    };
  };
  connect();
  cut.onclick = () => socket.close(1000);
  form.onsubmit = (event) => {
    event.preventDefault();
    socket.send(text.value);
    form.reset();
  };
</script>
`;

await app.listen(Number(process.env.PORT ?? 3000));
console.log(`Rooms that remember: ${app.url}`);

for (const signal of ["SIGTERM", "SIGINT"] as const) {
  process.once(signal, async () => {
    await app.close();
    await log.end();
  });
}
