/**
 * A client that was away gets what it has missed: topics with a history. When the page connects, it says which message
 * it has last, and gets all later ones, once and in order. When that is not possible, it is told so, and loads the
 * newest messages anew. Start this program, and open the address that it prints:
 *
 *     node examples/resume.ts        (or: deno run -A …, bun …)
 *
 * To try: open the page in two tabs, press "Be away" in one of them and write in the other.
 *
 * The history is in the memory of this program. With the address of a Redis server or of `nats-server --jetstream` as
 * its argument, `redis://localhost:6379` or `nats://localhost:4222`, the history is there: stop this program while you
 * write and start it again, or run two of them, at another PORT each.
 */

import { jetstream } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import process from "node:process";
import { createClient } from "redis";
import { type Broker, createApp, HttpError, isTopic, natsBroker, redisBroker } from "../mod.ts";

const { broker, end } = openBroker(process.argv[2]);
const app = await createApp({ wsOrigins: "same-origin", broker });
app.topic("room/*", { history: { size: 1_000, maxAgeMs: 3_600_000 } });

app.ws("/rooms/:room", { upgrade: topicOf }, async (socket, req) => {
  const topic = socket.data;
  // `append` rejects when the message is not in the history. The client connects again, and goes on where it was.
  socket.on("message", (text) => app.append(topic, text).catch(() => socket.close(1013, "Try again later")));
  await socket.follow(topic, { since: req.query.get("since") });
});

// The newest messages, and the id from which the page follows the topic.
app.get("/rooms/:room", async (req) => {
  const { messages, id } = await app.history(topicOf(req), { limit: 50 });
  return { texts: messages.map(({ data }) => String(data)), id };
});

/** The topic of the room that a client asks for. Some names cannot be part of the name of a topic. */
function topicOf({ params: { room } }: { params: { room: string } }): string {
  if (!isTopic(`room/${room}`)) throw new HttpError(404, "There is no such room");
  return `room/${room}`;
}

/** Makes the broker, if there is an address. `end` closes the client that the broker was made with. */
function openBroker(address: string | undefined): { broker?: Broker; end?: () => Promise<void> } {
  if (address === undefined) return {};
  if (!address.startsWith("nats:")) return { broker: redisBroker(createClient({ url: address })) };
  const servers = new URL(address).host;
  const connection = connect({ servers, waitOnFirstConnect: true, maxReconnectAttempts: -1 });
  return { broker: natsBroker(connection, { jetstream }), end: async () => await (await connection).drain() };
}

app.get("/", () => new Response(PAGE, { headers: { "Content-Type": "text/html; charset=utf-8" } }));

const PAGE = `<!doctype html>
<title>Resume</title>
<p id="state"></p>
<form id="form"><input id="text" placeholder="Say something" autofocus></form>
<button id="cut">Be away for five seconds</button>
<ul id="heard"></ul>
<script>
  let socket, since, attempt = 0;

  async function load() {
    const response = await fetch("/rooms/tea");
    if (!response.ok) throw new Error(response.statusText);
    const { texts, id } = await response.json();
    heard.replaceChildren();
    if (since !== undefined) show("(Some messages are gone.)");
    texts.forEach(show);
    since = id;
  }

  function connect() {
    socket = new WebSocket("/rooms/tea?since=" + since);
    socket.onopen = () => state.textContent = "Here";
    socket.onmessage = ({ data }) => {
      const message = JSON.parse(data);
      if (message.recovered === false) {
        socket.onmessage = socket.onclose = null;
        socket.close();
        return later(start);
      }
      attempt = 0;
      since = message.id;
      if ("data" in message) show(message.data);
    };
    socket.onclose = ({ code }) => later(connect, code === 1000 ? 5_000 : 0);
  }

  function later(again, pauseMs = 0) {
    state.textContent = "Away";
    // Clients that were cut together must not all come back together.
    setTimeout(again, pauseMs + Math.random() * Math.min(10_000, 500 * 2 ** attempt++));
  }

  function start() {
    load().then(connect, () => later(start));
  }

  function show(textContent) {
    heard.append(Object.assign(document.createElement("li"), { textContent }));
  }

  start();
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
    await end?.();
  });
}
