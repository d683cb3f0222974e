/** The types of topics, presence and brokers. This file only has to compile: `tsc -p tsconfig.json` checks it. */

import { Buffer } from "node:buffer";
import {
  type App,
  type AppEvents,
  type Broker,
  type BrokerStats,
  type BrokerStatus,
  createApp,
  type Followed,
  type Present,
  type Socket,
  type SubscribeOptions,
  type TopicMessages,
} from "../../mod.ts";
import { type Equal, exactly } from "./exactly.ts";

const app = await createApp();

app.ws("/", { upgrade: () => ({ name: "Ada" }) }, (socket) => {
  exactly<Equal<ReturnType<typeof socket.subscribe>, boolean>>();
  exactly<Equal<ReturnType<typeof socket.unsubscribe>, boolean>>();
  exactly<Equal<ReturnType<typeof socket.publish>, number>>();
  exactly<Equal<typeof socket.topics, string[]>>();
  socket.subscribe("news");
  socket.subscribe("news", {});
  socket.subscribe("news", { presence: undefined });
  socket.subscribe("news", { presence: { name: socket.data.name } });
  socket.publish("news", "text");
  for (const bytes of [new Uint8Array(1), new ArrayBuffer(1), Buffer.alloc(1), new DataView(new ArrayBuffer(1))]) {
    socket.publish("news", bytes);
    app.publish("news", bytes);
  }
  // @ts-expect-error -- a topic is a string
  socket.subscribe(42);
  // @ts-expect-error -- there is no option "presense"
  socket.subscribe("news", { presense: 1 });
  // @ts-expect-error -- a number is no message
  socket.publish("news", 42);
  // @ts-expect-error -- an object is no message
  app.publish("news", { text: "hello" });
  // @ts-expect-error -- the message is missing
  socket.publish("news");
  // @ts-expect-error -- the list is read-only
  socket.topics = [];
  // A socket with data is also a Socket of unknown data, so that sockets of all routes can be kept together.
  const anyone: Socket = socket;
  anyone.unsubscribe("news");
});

exactly<Equal<typeof app.id, string>>();
exactly<Equal<ReturnType<typeof app.publish>, number>>();
exactly<Equal<ReturnType<typeof app.subscribers>, number>>();
exactly<Equal<ReturnType<typeof app.presence>, Present[]>>();
exactly<Equal<SubscribeOptions["presence"], unknown>>();
for (const present of app.presence("news")) {
  exactly<Equal<typeof present.id, string>>();
  exactly<Equal<typeof present.processId, string>>();
  exactly<Equal<typeof present.data, unknown>>();
  // @ts-expect-error -- data that another process sends has no known type
  void present.data.name;
  // @ts-expect-error -- the list is a copy, and read-only
  present.data = 1;
}
// @ts-expect-error -- the id is read-only
app.id = "mine";

// Listeners and their arguments. Both methods return the app, with the types of its services.
const rooms = (await createApp({ services: { rooms: new Map<string, number>() } }))
  .on("join", (socket, topic) => {
    exactly<Equal<typeof socket, Socket>>();
    exactly<Equal<typeof topic, string>>();
  })
  .off("leave", () => {});
exactly<Equal<typeof rooms, App<{ rooms: Map<string, number> }>>>();
app.on("leave", async (socket) => await socket.drained());
exactly<Equal<keyof AppEvents, "join" | "leave">>();
// @ts-expect-error -- there is no event "message"
app.on("message", () => {});

const stats = app.stats();
exactly<Equal<typeof stats.topics, number>>();
exactly<Equal<typeof stats.broker, BrokerStats | undefined>>();
exactly<Equal<BrokerStats[keyof BrokerStats], number | boolean>>();
// @ts-expect-error -- an app without a broker has no such figures
void stats.broker.published;

// A broker that an application writes itself.
class MyBroker implements Broker {
  onMessage(_listener: (topic: string, bytes: Uint8Array) => void): void {}
  onStatus(listener: (status: BrokerStatus) => void): void {
    listener({ isConnected: true });
    listener({ isConnected: false, error: "cable pulled" });
    // @ts-expect-error -- isConnected is missing
    listener({ error: "cable pulled" });
  }
  async publish(_topic: string, _bytes: Uint8Array): Promise<void> {}
  // The value that the promise resolves to is ignored, so a method may return what its client returns.
  subscribe(topic: string): Promise<number> {
    return Promise.resolve(topic.length);
  }
  unsubscribe(_topic: string): Promise<void> {
    return Promise.resolve();
  }
  async close(): Promise<void> {}
}
await createApp({ broker: new MyBroker(), maxTopicsPerSocket: 100, presence: { intervalMs: 1_000 } });
await createApp({ broker: undefined, presence: undefined });
// @ts-expect-error -- a broker has six methods
await createApp({ broker: { publish: () => Promise.resolve() } });
// @ts-expect-error -- an address is no broker: a client has to be handed in
await createApp({ broker: "redis://localhost" });
// @ts-expect-error -- a time is a number
await createApp({ presence: { timeoutMs: "15s" } });

// Topics with a history.
app.topic("a", { history: true }).topic("b/*", {
  history: {
    size: 10,
    maxAgeMs: 1_000,
    maxRecover: 5,
    frame: (content) => "recovered" in content ? `${content.recovered}` : Buffer.from(content.data),
  },
});
// @ts-expect-error -- a frame is a string or bytes
app.topic("c", { history: { frame: () => 7 } });
// @ts-expect-error -- there is no option "length"
app.topic("d", { history: { length: 7 } });
exactly<Equal<ReturnType<typeof app.append>, Promise<string>>>();
exactly<Equal<ReturnType<typeof app.history>, Promise<TopicMessages>>>();
app.ws("/follow", (socket, req) => {
  exactly<Equal<ReturnType<typeof socket.follow>, Promise<Followed>>>();
  return socket.follow("a", { since: req.query.get("since"), presence: "Ada" });
});
