/**
 * Publishing to 1 to 10,000 of 10,000 sockets that write nowhere: in an app with 100,000 topics, in one with a few
 * topics, and in a loop over a Set of sockets. The cost grows with the number of receivers, and not with the number of
 * topics.
 *
 *     node bench/micro/topics.ts     (or deno run -A, or bun)
 */
import { Buffer } from "node:buffer";
import { EventEmitter } from "node:events";
import type { Socket as RawSocket } from "node:net";
import { bench, run, summary } from "mitata";
import { type App, createApp, type Socket } from "../../mod.ts";
import { makeKey } from "../../src/app/inject/client.ts";
import type { MemorySocket } from "../../src/app/inject/memory-socket.ts";
import { handshakeHeaders, makeRequest } from "../../src/app/inject/request.ts";
import { cork, uncork } from "../../src/transport/outbox.ts";

const SOCKETS = 10_000;
const TOPICS = 100_000;
const TOPICS_PER_SOCKET = 100;
const RECEIVERS = [1, 10, 100, 1_000, 10_000];
const MESSAGES = 16;

/** A raw socket that discards all bytes at once, and from which no bytes come. */
class Nowhere extends EventEmitter {
  readonly remoteAddress = "127.0.0.1";
  readonly writable = true;
  readonly writableLength = 0;
  readonly destroyed = false;
  write(): boolean {
    return true;
  }
  cork(): void {}
  uncork(): void {}
  pause(): void {}
  resume(): void {}
  setTimeout(): void {}
  setNoDelay(): void {}
}

interface World {
  readonly app: App;
  readonly sockets: readonly Socket[];
}

/** An app with sockets; for each number n of `RECEIVERS`, the first n sockets are subscribed to the topic "to n". */
async function world(): Promise<World> {
  const sockets: Socket[] = [];
  const app = await createApp({ logger: false, heartbeat: false });
  app.ws("/", (socket) => void sockets.push(socket));
  while (sockets.length < SOCKETS) {
    const raw = new Nowhere() as unknown as MemorySocket & RawSocket;
    app.handleUpgrade(makeRequest(raw, "GET", "/", handshakeHeaders(makeKey(), {})), raw, Buffer.alloc(0));
    if (sockets.length === 0) await new Promise(setImmediate);
  }
  for (const count of RECEIVERS) for (const socket of sockets.slice(0, count)) socket.subscribe(`to ${count}`);
  return { app, sockets };
}

/** Subscribes each socket to 100 of 100,000 topics, so that each topic has ten sockets from all over the list. */
function addTopics({ sockets }: World): void {
  const count = SOCKETS * TOPICS_PER_SOCKET;
  const startMs = performance.now();
  for (let i = 0; i < count; i++) sockets[i % SOCKETS].subscribe(`topic ${(i * 7) % TOPICS}`);
  const subscriptionUs = (performance.now() - startMs) * 1_000 / count;
  console.log(`${TOPICS} topics, ${SOCKETS} sockets, ${count} subscriptions of ${subscriptionUs.toFixed(2)} µs each\n`);
}

/** Publishes two texts alternately, as if within one turn of the event loop. */
function inOneTurn(publish: (text: string) => void): () => void {
  const texts = ["x".repeat(32), "y".repeat(32)];
  return () => {
    cork();
    for (let message = 0; message < MESSAGES; message++) publish(texts[message & 1]);
    uncork();
  };
}

const few = await world();
const many = await world();
addTopics(many);

for (const count of RECEIVERS) {
  const topic = `to ${count}`;
  const own = new Set(few.sockets.slice(0, count));
  summary(() => {
    bench(
      `${MESSAGES} messages to ${count}: beside ${TOPICS} topics`,
      inOneTurn((text) => many.app.publish(topic, text)),
    );
    bench(`${MESSAGES} messages to ${count}: beside a few topics`, inOneTurn((text) => few.app.publish(topic, text)))
      .baseline(true);
    bench(
      `${MESSAGES} messages to ${count}: a Set of one's own`,
      inOneTurn((text) => {
        for (const socket of own) socket.send(text);
      }),
    );
  });
}

/**
 * A topic that exists for a moment only. On all three runtimes, a Map in which one key is added and deleted again and
 * again takes longer each time, until it is built anew.
 */
for (const [kind, names] of [["one after the other", 50_000], ["the same again and again", 1]] as const) {
  const topics = Array.from({ length: names }, (_, i) => `for a moment ${i}`);
  for (const [where, { sockets: [socket] }] of [[`beside ${TOPICS} topics`, many], ["beside a few", few]] as const) {
    let turn = 0;
    bench(`a topic for a moment, ${kind}, ${where}`, () => {
      const topic = topics[turn++ % names];
      socket.subscribe(topic);
      socket.unsubscribe(topic);
    });
  }
}

bench(`leaving and joining ${SOCKETS} others`, () => {
  const [socket] = few.sockets;
  socket.unsubscribe(`to ${SOCKETS}`);
  socket.subscribe(`to ${SOCKETS}`);
});

await run();
