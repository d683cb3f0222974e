/**
 * The types of sockets, hooks and injected clients. This file only has to compile: `tsc -p tsconfig.json` checks it.
 */

import type { Buffer } from "node:buffer";
import {
  type App,
  type CloseResult,
  createApp,
  HttpError,
  type InjectedClient,
  type Socket,
  type SocketHandler,
  type UpgradeHook,
} from "../../mod.ts";
import { type Equal, exactly } from "./exactly.ts";

interface User {
  readonly name: string;
}

const app = await createApp();

// `socket.data` is what the hook returns, sync or async, without the values that refuse.
app.ws("/sync", { upgrade: (): User => ({ name: "Ada" }) }, (socket) => {
  exactly<Equal<typeof socket.data, User>>();
  // @ts-expect-error -- a User has no age
  void socket.data.age;
});
app.ws("/async", { upgrade: async () => await Promise.resolve({ name: "Ada", age: 36 }) }, (socket) => {
  exactly<Equal<typeof socket.data, { name: string; age: number }>>();
});
app.ws("/refusing", {
  upgrade: ({ headers }): User | Response => {
    if (headers.cookie === undefined) throw new HttpError(401, "Sign in first");
    return headers.cookie === "old" ? Response.redirect("https://mysite.com/login") : { name: headers.cookie };
  },
}, (socket) => {
  exactly<Equal<typeof socket.data, User>>();
});
// The values that refuse are no data: a socket that is let in has data.
app.ws("/found-or-null", { upgrade: (): User | null => null }, (socket) => {
  exactly<Equal<typeof socket.data, User>>();
});
app.ws("/found-or-false", { upgrade: async (): Promise<User | false> => await Promise.resolve(false) }, (socket) => {
  exactly<Equal<typeof socket.data, User>>();
});
app.ws("/found-or-error", { upgrade: (): User | HttpError => new HttpError(401, "No") }, (socket) => {
  exactly<Equal<typeof socket.data, User>>();
});
app.ws("/yes-or-no", { upgrade: ({ headers }) => headers.cookie === "yes" }, (socket) => {
  exactly<Equal<typeof socket.data, true>>();
});
app.ws("/found-or-undefined", { upgrade: (): User | undefined => undefined }, (socket) => {
  exactly<Equal<typeof socket.data, User | undefined>>();
});
app.ws("/none", (socket) => {
  exactly<Equal<typeof socket.data, unknown>>();
  // @ts-expect-error -- without a hook, the type of the data is unknown
  void socket.data.name;
});
app.ws("/no-hook", { subprotocols: ["v1"], textHeartbeat: true }, (socket) => {
  exactly<Equal<typeof socket.protocol, string>>();
});

// A hook that is declared apart, for more than one route.
const authenticate: UpgradeHook<object, User> = (req, _services, answer) => {
  answer.headers.append("Set-Cookie", "seen=1");
  answer.subprotocol = answer.offered[0];
  // @ts-expect-error -- the offer is the client's
  answer.offered = [];
  return { name: req.headers.cookie ?? "nobody" };
};
app.ws("/own", { upgrade: authenticate }, (socket) => {
  exactly<Equal<typeof socket.data, User>>();
});

// A handler that is declared apart.
const greet: SocketHandler<object, User, { readonly room: string }> = (socket, { params }) => {
  socket.send(`${socket.data.name} is in ${params.room}`);
};
app.ws("/rooms/:room", { upgrade: authenticate }, greet);
// @ts-expect-error -- this path has no room
app.ws("/room", { upgrade: authenticate }, greet);

function listen(socket: Socket<User>): void {
  socket.on("message", (data, isBinary) => {
    exactly<Equal<typeof data, string | Buffer>>();
    exactly<Equal<typeof isBinary, boolean>>();
  });
  socket.on("close", (code, reason, wasClean) => {
    exactly<Equal<[typeof code, typeof reason, typeof wasClean], [number, string, boolean]>>();
  });
  // @ts-expect-error -- there is no event "data"
  socket.on("data", () => {});
  // @ts-expect-error -- a number is no message
  socket.send(42);
  // @ts-expect-error -- an object is no message
  socket.send({ text: "hello" });
  // @ts-expect-error -- the state is read-only
  socket.readyState = 3;
  socket.data = { name: "somebody else" };
  exactly<Equal<typeof socket.readable, ReadableStream<string | Buffer>>>();
}
app.ws("/listen", { upgrade: authenticate }, listen);

async function loop(socket: Socket): Promise<void> {
  for await (const message of socket) exactly<Equal<typeof message, string | Buffer>>();
}
app.ws("/loop", loop);

// Every chainable method returns the app, with the types of its services.
const chained: App = app.ws("/1", () => {}).get("/2", () => {}).post("/3", () => {}).put("/4", () => {}).patch(
  "/5",
  () => {},
)
  .delete("/6", () => {});
exactly<Equal<Awaited<ReturnType<typeof chained.listen>>, App>>();
exactly<Equal<Awaited<ReturnType<typeof app.close>>, CloseResult>>();

// The result of `inject` depends on its argument.
exactly<Equal<typeof client, InjectedClient>>();
exactly<Equal<typeof response, Response>>();
const client = await app.inject("/loop", { headers: { Origin: "https://mysite.com" }, subprotocols: ["v1"] });
const response = await app.inject(new Request("http://app/"));
// @ts-expect-error -- neither a path nor a Request
await app.inject(42);

// Options.
await createApp({ signals: true, heartbeat: false, logger: false, tls: { key: "", cert: "" } });
await createApp({ signals: { code: 1012, overMs: 20_000 }, maxAgeMs: 1, rateLimit: { messages: 1, perMs: 1 } });
await createApp({ maxAgeMs: false, rateLimit: false });
// @ts-expect-error -- a rate is a number of messages and a time
await createApp({ rateLimit: { messages: 1 } });
// @ts-expect-error -- there is no option "wsOrigin"
await createApp({ wsOrigin: "https://mysite.com" });
// @ts-expect-error -- a time is a number
await createApp({ closeTimeoutMs: "5s" });
// @ts-expect-error -- a logger has four levels
await createApp({ logger: { error() {} } });
