/**
 * Who may connect: a login sets a cookie, and the upgrade hook looks it up before the handshake is answered. Start it and open the address it prints:
 *
 *     node examples/auth-by-cookie.ts        (or: deno run -A …, bun …)
 */

import { randomUUID } from "node:crypto";
import process from "node:process";
import { createApp, HttpError } from "../mod.ts";

interface User {
  readonly name: string;
}

/** Who is signed in. Yours would keep this in a database. */
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
  // A browser sends the cookie along whoever's page it is that connects: only our own may.
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
  // Whoever was let in stays in, unless shown out.
  for (const socket of app.sockets) if (user !== undefined && socket.data === user) socket.close(4401, "Signed out");
});

app.ws("/greeting", {
  // What the hook returns is `socket.data`, with its type; what it throws is the answer to the handshake.
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
