/** A program for the tests of the dashboard example: an app without traffic of its own. It prints its address. */

import process from "node:process";
import { mountDashboard } from "../../../examples/dashboard/server.ts";
import { createApp } from "../../../mod.ts";

const app = await createApp({ logger: false, signals: true });
app.ws("/echo", (socket) => {
  socket.on("message", (data) => socket.send(data));
});
mountDashboard(app, { isAllowed: () => true, path: "/admin/figures" });
await app.listen({ port: Number(process.env.PORT ?? 0), host: "127.0.0.1" });
console.log(app.url);
