/** SpaceNode with its default options; compression and TLS as the flood asks. */
import process from "node:process";
import { createApp } from "../../mod.ts";

const { COMPRESSION, TLS_KEY: key, TLS_CERT: cert } = process.env;
const app = await createApp({
  logger: false,
  compression: COMPRESSION === "takeover" ? { contextTakeover: true } : COMPRESSION !== "",
  ...(key !== undefined && { tls: { key, cert } }),
});
app.ws("/", (socket) => {
  socket.on("message", (data) => socket.send(data));
});
await app.listen({ port: 0, host: "127.0.0.1" });
console.log(app.address!.port);
