/**
 * An app with visitors of its own, so that the dashboard has something to show. Start this program and open the address
 * that it prints:
 *
 *     node examples/dashboard/demo.ts        (or: deno run -A …, bun …)
 *
 * PORT sets the port; the default is 3000. To try: stop this program while the page is open, and start it again.
 */

import process from "node:process";
import { type AppRequest, createApp } from "../../mod.ts";
import { mountDashboard } from "./server.ts";
import { Traffic } from "./traffic.ts";

const app = await createApp({ wsOrigins: "same-origin", signals: true });

app.ws("/rooms/:room", { maxMessageBytes: 1_000 }, (socket, { params: { room } }) => {
  socket.subscribe(`room/${room}`);
  socket.on("message", (data) => app.publish(`room/${room}`, data));
});

app.ws("/echo", { maxMessageBytes: 64_000 }, (socket) => {
  socket.on("message", (data) => socket.send(data));
});

// A client gets as many bytes as it asks for.
app.ws("/downloads", { maxMessageBytes: 10 }, (socket) => {
  socket.on("message", (size) => socket.send(Buffer.alloc(Math.min(Number(size) || 0, 1_000_000))));
});

mountDashboard(app, { isAllowed: isLocal });

await app.listen({ port: Number(process.env.PORT ?? 3000), host: "127.0.0.1" });
console.log(`The dashboard is open: ${app.url}/dashboard/`);
new Traffic(app).start();

/**
 * Whether a request comes from this machine. Its address is not enough: the name of another site can be made to lead
 * here (DNS rebinding), and so can a proxy on this machine. So the name that the browser has asked for has to be local.
 */
function isLocal({ ip, host }: AppRequest): boolean {
  return ["127.0.0.1", "::1"].includes(ip) && /^(localhost|127\.0\.0\.1|\[::1\])(:\d+)?$/.test(host);
}
