/**
 * Authentication by cookie: a login sets a cookie, and the `upgrade` hook looks the cookie up before a connection is
 * accepted. Start this program and open the address that it prints:
 *
 *     node examples/auth-by-cookie.ts        (or: deno run -A …, bun …)
 *
 * To try: sign in, and the server greets you over the WebSocket. Sign out in this tab or in another, and the server
 * closes the socket.
 */

import { randomUUID } from "node:crypto";
import process from "node:process";
import { createApp, HttpError } from "../mod.ts";

interface User {
  readonly name: string;
}

/** The users who are signed in, by the id in their cookie. A real application keeps them in a database. */
class Sessions {
  readonly #users = new Map<string, User>();

  begin(user: User): string {
    const id = randomUUID();
    this.#users.set(id, user);
    return id;
  }

  find(id: string | undefined): User | undefined {
    return id === undefined ? undefined : this.#users.get(id);
  }

  end(id: string | undefined): void {
    if (id !== undefined) this.#users.delete(id);
  }
}

function sessionId(cookies: string = ""): string | undefined {
  return /(?:^|; )session=([^;]+)/.exec(cookies)?.[1];
}

const app = await createApp({
  services: { sessions: new Sessions() },
  // A browser sends the cookie along from any page that connects, so only pages of this server may connect.
  wsOrigins: "same-origin",
  signals: true,
});

app.post("/login", async (req, { sessions }) => {
  const name = (await req.text()).trim();
  if (name === "" || name.length > 100) throw new HttpError(400, "Who are you, in 100 characters at most?");
  const cookie = `session=${sessions.begin({ name })}; Path=/; HttpOnly; SameSite=Strict`;
  return new Response(null, { status: 204, headers: { "Set-Cookie": cookie } });
});

app.post("/logout", (req, { sessions }) => {
  const id = sessionId(req.headers.cookie);
  const user = sessions.find(id);
  sessions.end(id);
  // A socket that is open stays open after a logout, so the sockets of the user are closed here.
  for (const socket of app.sockets) if (user !== undefined && socket.data === user) socket.close(4401, "Signed out");
});

app.ws("/greeting", {
  // The value that the hook returns becomes `socket.data`, with its type. An HttpError becomes the response.
  upgrade: (req, { sessions }) => {
    const user = sessions.find(sessionId(req.headers.cookie));
    if (user === undefined) throw new HttpError(401, "Sign in first");
    return user;
  },
}, (socket) => {
  socket.send(`Hello, ${socket.data.name}`);
});

app.get("/", () => new Response(PAGE, { headers: { "Content-Type": "text/html; charset=utf-8" } }));

const PAGE = `<!doctype html>
<title>Authentication by cookie</title>
<form id="login"><input id="name" placeholder="Your name" autofocus> <button>Sign in</button></form>
<button id="logout">Sign out</button>
<p id="said">Nobody has said anything yet.</p>
<script>
  const say = (text) => said.textContent = text;
  login.onsubmit = async (event) => {
    event.preventDefault();
    await fetch("/login", { method: "POST", body: document.querySelector("#name").value });
    const socket = new WebSocket("/greeting");
    socket.onmessage = ({ data }) => say(data);
    socket.onclose = ({ reason }) => say(reason || "Not let in");
  };
  logout.onclick = () => fetch("/logout", { method: "POST" });
</script>
`;

await app.listen(Number(process.env.PORT ?? 3000));
console.log(`Sign in at ${app.url}`);
