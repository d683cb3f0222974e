/**
 * Rooms, with a Set of sockets for each: a message goes to everyone in the room. Start this program and open the
 * address that it prints in two tabs:
 *
 *     node examples/rooms.ts        (or: deno run -A …, bun …)
 *
 * To try: say something in one tab, change the room, or close a tab. `/rooms` shows how many people are in each room.
 */

import process from "node:process";
import { createApp, type Socket } from "../mod.ts";

class Rooms {
  readonly #members = new Map<string, Set<Socket>>();

  enter(room: string, socket: Socket): void {
    let members = this.#members.get(room);
    if (members === undefined) this.#members.set(room, members = new Set());
    members.add(socket);
    // `close` comes exactly once, however a connection ends, so all tidying up is done here.
    socket.on("close", () => {
      members.delete(socket);
      if (members.size === 0 && this.#members.get(room) === members) this.#members.delete(room);
      this.say(room, `One has left, ${members.size} here`);
    });
    this.say(room, `One has come, ${members.size} here`);
  }

  /** Sends a text to everyone in a room. A text that many sockets send is encoded only once. */
  say(room: string, text: string): void {
    for (const member of this.#members.get(room) ?? []) member.send(text);
  }

  sizes(): Record<string, number> {
    return Object.fromEntries([...this.#members].map(([room, members]) => [room, members.size]));
  }
}

const app = await createApp({ services: { rooms: new Rooms() }, wsOrigins: "same-origin", signals: true });

app.ws("/rooms/:room", { maxMessageBytes: 1_000 }, (socket, { params: { room } }, { rooms }) => {
  rooms.enter(room, socket);
  socket.on("message", (data, isBinary) => {
    if (!isBinary) rooms.say(room, String(data));
  });
});

app.get("/rooms", (_req, { rooms }) => rooms.sizes());
app.get("/", () => new Response(PAGE, { headers: { "Content-Type": "text/html; charset=utf-8" } }));

const PAGE = `<!doctype html>
<title>Rooms</title>
<p><a href="#tea">Tea</a> <a href="#coffee">Coffee</a></p>
<form id="form"><input id="text" placeholder="Say something" autofocus></form>
<ul id="heard"></ul>
<script>
  let socket;
  const enter = () => {
    socket?.close();
    heard.replaceChildren();
    socket = new WebSocket("/rooms/" + (location.hash.slice(1) || "tea"));
    socket.onmessage = ({ data }) => heard.append(Object.assign(document.createElement("li"), { textContent: data }));
  };
  onhashchange = enter;
  enter();
  form.onsubmit = (event) => {
    event.preventDefault();
    socket.send(document.querySelector("#text").value);
    form.reset();
  };
</script>
`;

await app.listen(Number(process.env.PORT ?? 3000));
console.log(`The rooms are open: ${app.url}`);
