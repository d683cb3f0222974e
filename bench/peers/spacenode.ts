/** SpaceNode with its defaults; only the limits on size are raised to the bench's largest messages. */
import { createApp, type Socket } from "../../mod.ts";
import { announce, LIMIT_BYTES } from "./support.ts";

const app = await createApp({ maxMessageBytes: LIMIT_BYTES, maxBufferedBytes: LIMIT_BYTES, logger: false });

const clients = new Set<Socket>();

app
  .ws("/echo", (socket) => {
    socket.on("message", (data) => socket.send(data));
  })
  .ws("/text", (socket) => {
    socket.on("message", (data) => socket.send(data));
  })
  .ws("/fan", (socket) => {
    clients.add(socket);
    socket.on("close", () => clients.delete(socket));
    socket.on("message", (data) => {
      for (const client of clients) if (client.readyState === 1) client.send(data);
    });
  });

await app.listen({ port: 0, host: "127.0.0.1" });
announce(app.address!.port);
