/**
 * A program that listens at the socket that it has inherited as fd 3, as systemd passes one on. With the argument
 * "tls", it speaks TLS with the certificate in KEY and CERT. It prints its address and its URL, and ends on SIGTERM.
 */

import process from "node:process";
import { createApp } from "../../mod.ts";

const { KEY: key = "", CERT: cert = "" } = process.env;
const app = await createApp({ signals: true, ...(process.argv.includes("tls") && { tls: { key, cert } }) });
app.get("/", () => `process ${process.pid}`).ws("/", (socket) => {
  socket.on("message", (data) => socket.send(`app: ${data}`));
});
await app.listen({ fd: 3 });
console.log(JSON.stringify([process.pid, app.address?.port, app.url]));
