/**
 * Messages that clients get even if they were away: a topic delivers at most once and forgets, a log remembers. Each
 * room is a Redis Stream, or a subject of a JetStream stream. When a client connects, to any process, it says which
 * message it has seen last, and gets all later messages once and in order. A log keeps the newest messages of a room
 * only, and may be lost. So when later messages may be gone, the client gets `{"missed":true}` first, forgets what it
 * has, and then gets all messages that are kept. Start a Redis server, or `nats-server --jetstream`, start this program
 * with the address of that server, and open the address that this program prints:
 *
 *     node examples/resume.ts redis://localhost:6379        (or: deno run -A …, bun …; or: nats://localhost:4222)
 *
 * To try: open the page in two tabs, press "Be away" in one of them and write in the other. Or stop this program while
 * you write, and start it again. Or be away while somebody empties the log (`redis-cli flushall`). PORT sets the port,
 * so that you can run two processes.
 */

import {
  DeliverPolicy,
  jetstream,
  type JetStreamClient,
  type JetStreamManager,
  jetstreamManager,
} from "@nats-io/jetstream";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { Buffer } from "node:buffer";
import process from "node:process";
import { createClient, type RedisClientType } from "redis";
import { createApp, HttpError, type Socket } from "../mod.ts";

/** One message of a room. */
interface Entry {
  readonly id: string;
  readonly text: string;
}

/** Says that messages may be gone which the client has not got. */
const MISSED = { missed: true } as const;

/** The messages of all rooms, kept outside of the processes. */
interface Log {
  append(room: string, text: string): Promise<unknown>;
  /**
   * Yields the messages after an id, or all that are kept when `after` is empty, and then every new message. When
   * messages behind the last one may be gone, yields MISSED, and goes on with all that are kept.
   */
  follow(room: string, after: string, signal: AbortSignal): AsyncIterable<Entry | typeof MISSED>;
  end(): Promise<unknown>;
}

/** Matches the id of a message. */
const ID = /^\d{1,15}-\d{1,15}$/;

/** So many messages of each room are kept. */
const KEPT = 1_000;

class RedisLog implements Log {
  readonly #client: RedisClientType;
  readonly #subscriber: RedisClientType;
  /** Resolves when there is a new message in any room. One promise for all rooms keeps this example small. */
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
    // Notices are lost while the connection to Redis is cut, so all rooms are read again. The stream has everything.
    log.#subscriber.on("ready", () => log.#tell());
    return log;
  }

  async append(room: string, text: string): Promise<void> {
    const limit = { strategy: "MAXLEN", strategyModifier: "~", threshold: KEPT } as const;
    await this.#client.xAdd(`room:${room}`, "*", { text }, { TRIM: limit });
    await this.#client.publish("news", room);
  }

  /**
   * Every read begins with the last message. While that one is kept, so are all later ones, because the oldest go
   * first. Ids are times, so a stream that was made anew does not have it.
   */
  async *follow(room: string, after: string, signal: AbortSignal): AsyncIterable<Entry | typeof MISSED> {
    let last = after;
    const stopped = new Promise((resolve) => signal.addEventListener("abort", resolve));
    while (!signal.aborted) {
      // The promise is taken before the read, so that a message which comes during the read is not missed.
      const news = this.#news.promise;
      const entries = await this.#client.xRange(`room:${room}`, last || "-", "+", { COUNT: 100 }) ?? [];
      if (last !== "" && entries.shift()?.id !== last) {
        yield MISSED;
        last = "";
        continue;
      }
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
  readonly #connection: NatsConnection;
  readonly #manager: JetStreamManager;
  readonly #stream: JetStreamClient;

  private constructor(connection: NatsConnection, manager: JetStreamManager) {
    this.#connection = connection;
    this.#manager = manager;
    this.#stream = jetstream(connection);
  }

  static async open(servers: string): Promise<JetStreamLog> {
    const connection = await connect({ servers, waitOnFirstConnect: true, maxReconnectAttempts: -1 });
    const manager = await jetstreamManager(connection);
    await manager.streams.add({ name: "ROOMS", subjects: ["rooms.*"], max_msgs_per_subject: KEPT });
    return new JetStreamLog(connection, manager);
  }

  append(room: string, text: string): Promise<unknown> {
    return this.#stream.publish(subjectOf(room), text);
  }

  /**
   * Each socket has an ordered consumer. With very many sockets, use one consumer for each room. An id consists of the
   * number of a message and the time at which the stream was made, since a stream that was made anew counts from 1.
   */
  async *follow(room: string, after: string, signal: AbortSignal): AsyncIterable<Entry | typeof MISSED> {
    const subject = subjectOf(room);
    const madeAt = Date.parse((await this.#manager.streams.info("ROOMS")).created);
    let last = after;
    while (!signal.aborted) {
      const [seq, streamOfLast] = last.split("-").map(Number);
      // While the last message is kept, so are all later ones, because the oldest go first.
      if (last !== "" && (streamOfLast !== madeAt || !await this.#has(subject, seq))) {
        yield MISSED;
        last = "";
        continue;
      }
      const start = last === ""
        ? { deliver_policy: DeliverPolicy.All }
        : { deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: seq + 1 };
      const consumer = await this.#stream.consumers.get("ROOMS", { filter_subjects: subject, ...start });
      const messages = await consumer.consume({ abort_on_missing_resource: true });
      signal.addEventListener("abort", () => void messages.close());
      if (signal.aborted) await messages.close();
      for await (const message of messages) {
        // The room is full, and this message is its oldest: the client has been too slow for those before.
        if (last !== "" && message.info.pending + 1 >= KEPT) break;
        yield { id: last = `${message.seq}-${madeAt}`, text: message.string() };
      }
    }
  }

  /** Tells whether the stream has a message of that number, and on that subject. */
  async #has(subject: string, seq: number): Promise<boolean> {
    return (await this.#manager.streams.getMessage("ROOMS", { seq }))?.subject === subject;
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
    // A subject of NATS cannot be much longer, and NATS cuts a client that sends a longer one.
    if (room.length > 100) throw new HttpError(400, "The name of a room has at most 100 characters");
    const after = query.get("after") ?? "";
    if (after !== "" && !ID.test(after)) throw new HttpError(400, "after must be the id of a message");
    return after;
  },
}, (socket, { params: { room } }) => {
  socket.on("message", (text) => void orLater(socket, log.append(room, String(text))));
  void orLater(socket, bring(socket, room));
});

/** Sends the new messages of a room, at the speed of the client. */
async function bring(socket: Socket<string>, room: string): Promise<void> {
  const closed = new AbortController();
  socket.on("close", () => closed.abort());
  for await (const entry of log.follow(room, socket.data, closed.signal)) {
    if (!socket.send(JSON.stringify(entry))) await socket.drained();
  }
}

/** Closes the connection when `work` fails. The client connects again, and goes on where it was. */
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
      if (entry.missed) heard.replaceChildren();
      last = entry.missed ? "" : entry.id;
      const textContent = entry.missed ? "(Some messages are gone.)" : entry.text;
      heard.append(Object.assign(document.createElement("li"), { textContent }));
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
