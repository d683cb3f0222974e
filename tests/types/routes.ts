/**
 * The types of `params` come from the text of the path. This file only has to compile: `tsc -p tsconfig.json` checks
 * it.
 */

import { createApp, type ParamsOf, type PathParams } from "../../mod.ts";
import { type Equal, exactly } from "./exactly.ts";

const app = await createApp();

app.ws("/chat/:room", (_socket, { params }) => {
  const room: string = params.room;
  void room;
  // @ts-expect-error -- the path has no ":rooms"
  void params.rooms;
  // @ts-expect-error -- params are read-only
  params.room = "another";
});

app.get("/users/:user/posts/:post", ({ params: { user, post } }) => {
  exactly<Equal<typeof user, string>>();
  exactly<Equal<typeof post, string>>();
  return user + post;
});

app.put("/files/*", ({ params }) => {
  exactly<Equal<(typeof params)["*"], string>>();
  // @ts-expect-error -- the rest is named "*" only
  void params.rest;
});

app.delete("/exact", ({ params }) => {
  // @ts-expect-error -- an exact path has no params
  void params.anything;
});

app.ws("/hooks/:id", {
  upgrade: ({ params }) => {
    // @ts-expect-error -- the path has no ":room"
    void params.room;
    return params.id.length;
  },
}, (socket, { params }) => {
  exactly<Equal<typeof params.id, string>>();
  exactly<Equal<typeof socket.data, number>>();
});

// A path that is known only at run time may have any params.
declare const path: string;
app.get(path, ({ params }) => {
  exactly<Equal<typeof params, PathParams>>();
  return params.whatever;
});

exactly<Equal<ParamsOf<"/a/:b">["b"], string>>();
exactly<Equal<keyof ParamsOf<"/:a/:b/*">, "a" | "b" | "*">>();

// The other members of a request.
app.post("/body", async ({ query, path, ip, protocol, host, method, headers, json, text, bytes }) => {
  exactly<Equal<typeof query, URLSearchParams>>();
  exactly<Equal<typeof path, string>>();
  exactly<Equal<typeof ip, string>>();
  exactly<Equal<typeof protocol, "http" | "https">>();
  exactly<Equal<typeof host, string>>();
  exactly<Equal<typeof method, string | undefined>>();
  exactly<Equal<Awaited<ReturnType<typeof json>>, unknown>>();
  exactly<Equal<Awaited<ReturnType<typeof text>>, string>>();
  const body: Uint8Array = await bytes();
  return [headers.cookie, body.length];
});

app.ws("/no-body", (_socket, req) => {
  // @ts-expect-error -- a handshake has no body
  void req.json();
});

// The proxies that are trusted.
await createApp({ trustProxy: false });
await createApp({ trustProxy: 2 });
await createApp({ trustProxy: ["10.0.0.0/8", "::1"] });
await createApp({ trustProxy: (address, hop) => address === "10.0.0.1" && hop === 0 });
// @ts-expect-error -- to trust every proxy is to trust every client
await createApp({ trustProxy: true });
// @ts-expect-error -- a promise is not true
await createApp({ trustProxy: () => Promise.resolve(true) });

// Mistakes that do not compile.
// @ts-expect-error -- a path is a string
app.get(/regexp/, () => {});
// @ts-expect-error -- the handler is missing
app.ws("/nothing");
// @ts-expect-error -- there is no such option
app.ws("/option", { maxMessageByte: 1 }, () => {});
// @ts-expect-error -- there is no such value
app.ws("/option", { slowConsumer: "wait" }, () => {});
