/**
 * SpaceNode as one of several processes, with a broker or without one. A client of `/subscribe/:topic` gets the
 * messages of the topic, and the messages of a client of `/publish/:topic` are published to it. A topic whose name
 * starts with `kept-` has a history.
 */
import process from "node:process";
import { type Broker, createApp, natsBroker, redisBroker, type TopicMessage, type TopicNotice } from "../../mod.ts";
import { announce } from "./support.ts";

/** The client that the broker is made of; `none` for an app without a broker. */
export type ClientName = "none" | "node-redis" | "ioredis" | "nats";

const port = Number(process.env.BENCH_BROKER_PORT);

const brokers: Record<ClientName, () => Promise<Broker | undefined>> = {
  none: () => Promise.resolve(undefined),
  "node-redis": async () => {
    const { createClient } = await import("redis");
    return redisBroker(createClient({ url: `redis://127.0.0.1:${port}` }));
  },
  ioredis: async () => {
    const { Redis } = await import("ioredis");
    return redisBroker(new Redis(port, "127.0.0.1", { lazyConnect: true }));
  },
  nats: async () => {
    const { connect } = await import("@nats-io/transport-node");
    const { jetstream } = await import("@nats-io/jetstream");
    return natsBroker(await connect({ servers: `127.0.0.1:${port}` }), { jetstream });
  },
};

const broker = await brokers[process.env.BENCH_BROKER as ClientName]();
const app = await createApp({ broker, logger: false });

/** Subscribers get the messages as they were published, so that all topics are measured with the same bytes. */
function frameOf(content: TopicMessage | TopicNotice): string | Uint8Array {
  return "recovered" in content ? "" : content.data;
}

app
  .topic("kept-*", { history: { frame: frameOf } })
  .ws("/subscribe/:topic", (socket, { params }) => void socket.subscribe(params.topic))
  .ws("/publish/:topic", (socket, { params }) => {
    socket.on("message", (data) => app.publish(params.topic, data));
  });

await app.listen({ port: 0, host: "127.0.0.1" });
announce(app.address!.port);
