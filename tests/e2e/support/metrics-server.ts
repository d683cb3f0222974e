/**
 * A program for tests with Prometheus: an app with figures of every kind, for which it injects its own clients. The
 * program prints its address once it listens.
 */

import process from "node:process";
import { createApp, InjectError } from "../../../mod.ts";
import { Hub } from "../../support/memory-broker.ts";

const app = await createApp({ broker: new Hub().link(), logger: false });
app.topic("news/*", { history: true });
app.get("/metrics", () => app.metrics());
app.ws("/echo", (socket) => {
  socket.on("message", (data) => socket.send(data));
});
// A path with every character that a label's value must escape.
app.ws('/"quoted"/\\/a\nb', () => {});

const client = await app.inject("/echo");
for (let i = 0; i < 3; i++) {
  client.send("four");
  await client.next();
}
const closed = await app.inject("/echo");
await closed.close();
await app.inject("/nowhere").catch((error) => {
  if (!(error instanceof InjectError)) throw error;
});
app.publish("talk", "hello");
await app.append("news/today", "four");

await app.listen({ port: Number(process.env.PORT ?? 0), host: "127.0.0.1" });
console.log(app.url);
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => void app.close({ timeoutMs: 0 }));
