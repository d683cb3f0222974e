/** The types of routes with schemas. This file only has to compile: `tsc -p tsconfig.json` checks it. */

import { type } from "arktype";
import * as v from "valibot";
import { z } from "zod";
import {
  createApp,
  type RouteOptions,
  type Socket,
  type SocketHandler,
  type StandardIssue,
  type StandardSchema,
} from "../../mod.ts";
import { type Equal, exactly } from "./exactly.ts";

interface User {
  readonly name: string;
}

interface Said {
  text: string;
  at: Date;
}

const app = await createApp({ services: { limit: 3 } });

// The schemas of three libraries, whose output is another type than their input.
const zod = z.object({ text: z.string(), at: z.string().transform((text) => new Date(text)) });
const valibot = v.object({ text: v.string(), at: v.pipe(v.string(), v.transform((text) => new Date(text))) });
const arktype = type({ text: "string", at: "string.date.parse" });
type Wire = { text: string; at: string };

app.ws("/zod", { message: zod, reply: zod }, (socket) => {
  exactly<Equal<typeof socket, Socket<unknown, Said, Wire>>>();
});
app.ws("/valibot", { message: valibot, reply: valibot }, (socket) => {
  exactly<Equal<typeof socket, Socket<unknown, Said, Wire>>>();
});
app.ws("/arktype", { message: arktype, reply: arktype }, (socket) => {
  exactly<Equal<typeof socket, Socket<unknown, Said, Wire>>>();
});

// Unions, and what is no object.
app.ws("/union", {
  message: z.discriminatedUnion("type", [
    z.object({ type: z.literal("say"), text: z.string() }),
    z.object({ type: z.literal("leave") }),
  ]),
  reply: z.union([z.number(), z.null(), z.array(z.string())]),
}, (socket) => {
  socket.on("message", (message) => {
    if (message.type === "say") exactly<Equal<typeof message.text, string>>();
    // @ts-expect-error -- who leaves says nothing
    else void message.text;
  });
  socket.send(1);
  socket.send(null);
  socket.send(["a"]);
  // @ts-expect-error -- a boolean is none of them
  socket.send(true);
});

// Every way to read and to send has the types, together with those of the hook, the path and the services.
app.ws("/rooms/:room", {
  upgrade: (req): User => ({ name: req.params.room }),
  message: zod,
  reply: zod,
  onInvalid: (socket, issues) => {
    exactly<Equal<typeof socket, Socket<User, Said, Wire>>>();
    exactly<Equal<typeof issues, readonly StandardIssue[]>>();
    socket.send({ text: issues[0]?.message ?? "", at: socket.data.name });
  },
}, async (socket, req, { limit }) => {
  exactly<Equal<typeof socket, Socket<User, Said, Wire>>>();
  exactly<Equal<typeof req.params.room, string>>();
  exactly<Equal<typeof limit, number>>();
  socket.on("message", (message, isBinary) => {
    exactly<Equal<typeof message, Said>>();
    exactly<Equal<typeof isBinary, boolean>>();
  });
  socket.once("message", ({ at }) => exactly<Equal<typeof at, Date>>());
  socket.on("close", (code) => exactly<Equal<typeof code, number>>());
  socket.addEventListener("message", ({ data, target }) => {
    exactly<Equal<typeof data, Said>>();
    target.send({ text: data.text, at: "now" }, (error) => exactly<Equal<typeof error, Error | undefined>>());
  });
  exactly<Equal<typeof socket.readable, ReadableStream<Said>>>();
  exactly<Equal<typeof socket.writable, WritableStream<Wire>>>();
  socket.send({ text: "hello", at: "now" }, { compress: false });
  exactly<Equal<ReturnType<typeof socket.publish>, number>>();
  socket.publish("room", { text: "hello", at: "now" });
  // @ts-expect-error -- the schema takes a string for `at`
  socket.send({ text: "hello", at: new Date() });
  // @ts-expect-error -- `at` is missing
  socket.publish("room", { text: "hello" });
  // @ts-expect-error -- a text is no reply
  socket.send("hello");
  // @ts-expect-error -- there is no such event
  socket.on("data", () => {});
  for await (const message of socket) exactly<Equal<typeof message, Said>>();
});

// One of the two alone.
app.ws("/message", { message: zod }, (socket) => {
  exactly<Equal<typeof socket, Socket<unknown, Said>>>();
  socket.send("a text");
  // @ts-expect-error -- without `reply`, an object is no message
  socket.send({ text: "hello", at: "now" });
});
app.ws("/reply", { reply: zod, upgrade: () => 7 }, (socket) => {
  exactly<Equal<typeof socket, Socket<number, string | Buffer, Wire>>>();
});

// Async schemas are schemas like others.
app.ws(
  "/async",
  { message: v.pipeAsync(v.string(), v.checkAsync(async () => await Promise.resolve(true))) },
  (socket) => {
    exactly<Equal<typeof socket, Socket<unknown, string>>>();
  },
);

// Without schemas, all is as it was.
app.ws("/plain", { maxMessageBytes: 10 }, (socket) => exactly<Equal<typeof socket, Socket>>());
app.ws("/bare", (socket) => exactly<Equal<typeof socket, Socket>>());

// Options and handlers that are declared apart.
const options: RouteOptions<object, User, unknown, Said, Wire> = { message: zod, reply: zod };
app.ws("/options", options, (socket) => exactly<Equal<typeof socket, Socket<User, Said, Wire>>>());
const handler: SocketHandler<object, unknown, unknown, Said, Wire> = (socket) => {
  socket.on("message", ({ text, at }) => socket.send({ text, at: at.toISOString() }));
};
app.ws("/handler", { message: zod, reply: zod }, handler);
// @ts-expect-error -- the handler takes what another schema makes
app.ws("/other-handler", { message: z.object({ text: z.string() }), reply: zod }, handler);
// @ts-expect-error -- without a schema, the messages are strings and Buffers
app.ws("/no-schema", handler);

// Schemas of no library.
const own: StandardSchema<string, number> = {
  "~standard": { version: 1, vendor: "mine", validate: (value) => ({ value: Number(value) }) },
};
app.ws("/own", { message: own }, (socket) => exactly<Equal<typeof socket, Socket<unknown, number>>>());

// @ts-expect-error -- strings are sent as they are, so they cannot be written as JSON too
app.ws("/text-reply", { reply: z.string() }, () => {});
// @ts-expect-error -- neither is a reply that may be a string
app.ws("/perhaps-text-reply", { reply: z.union([z.string(), z.number()]) }, () => {});
// @ts-expect-error -- a JSON Schema is no Standard Schema
app.ws("/json-schema", { message: { type: "string" } }, () => {});
// @ts-expect-error -- schemas are for routes
await createApp({ message: zod });

// A socket with types is one of the app's sockets, and those take what is encoded already.
app.ws("/sockets", { message: zod, reply: zod }, (socket) => {
  exactly<Equal<ReturnType<typeof app.sockets.has>, boolean>>();
  app.sockets.has(socket);
  const text = JSON.stringify({ text: "hello", at: "now" });
  for (const each of app.sockets) each.send(text);
});
app.ws("/has", { upgrade: () => 1 }, (socket) => void app.sockets.has(socket));
