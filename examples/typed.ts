/**
 * Typed messages: the schemas of the two sides are the types of the handler, and a message that does not fit gets a
 * reply that says why. Start this program, open the address that it prints, and send JSON:
 *
 *     node examples/typed.ts        (or: deno run -A …, bun …)
 *
 * To try: send `{"type":"add","text":"Buy tea"}`, `{"type":"done","id":1}`, and something else.
 */

import process from "node:process";
import * as z from "zod"; // or valibot, arktype, or any other library with Standard Schema
import { createApp } from "../mod.ts";

const message = z.discriminatedUnion("type", [
  z.object({ type: z.literal("add"), text: z.string().min(1).max(100) }),
  z.object({ type: z.literal("done"), id: z.int() }),
]);
const reply = z.union([
  z.object({ tasks: z.array(z.object({ id: z.int(), text: z.string() })) }),
  z.object({ wrong: z.array(z.string()) }),
]);

const app = await createApp({ wsOrigins: "same-origin", signals: true });
const tasks = new Map<number, string>();
let lastId = 0;

app.ws("/tasks", {
  message,
  reply,
  maxMessageBytes: 1_000,
  onInvalid: (socket, issues) => socket.send({ wrong: issues.map(({ message }) => message) }),
}, (socket) => {
  const list = () => ({ tasks: Array.from(tasks, ([id, text]) => ({ id, text })) });
  socket.subscribe("tasks");
  socket.send(list());
  socket.on("message", (command) => {
    if (command.type === "add") tasks.set(++lastId, command.text);
    else tasks.delete(command.id);
    // A text that is published is encoded once for all sockets.
    app.publish("tasks", JSON.stringify(list()));
  });
});

app.get("/", () => new Response(PAGE, { headers: { "Content-Type": "text/html; charset=utf-8" } }));

const PAGE = `<!doctype html>
<title>Tasks</title>
<form id="form"><input id="text" size="60" value='{"type":"add","text":"Buy tea"}'></form>
<pre id="heard"></pre>
<script>
  const socket = new WebSocket("/tasks");
  socket.onmessage = ({ data }) => heard.append(data + "\\n");
  form.onsubmit = (event) => {
    event.preventDefault();
    socket.send(document.querySelector("#text").value);
  };
</script>
`;

await app.listen(Number(process.env.PORT ?? 3000));
console.log(`The tasks are here: ${app.url}`);
