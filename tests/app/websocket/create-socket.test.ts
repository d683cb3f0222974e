/** The options of a route that choose the class of its sockets, each alone and both together. */

import { expect, test } from "vitest";
import { object, string } from "zod";
import type { RouteOptions } from "../../../mod.ts";
import { connectTo, listeningApp } from "../../support/app.ts";
import { text } from "../../support/frames.ts";

const message = object({ name: string() });
const ADA = '{"name":"Ada"}';
const HEARTBEAT = "\x05";

test.each<[string, RouteOptions<object, unknown>, (string | number)[]]>([
  ["neither option", {}, [HEARTBEAT, ADA]],
  ["textHeartbeat", { textHeartbeat: true }, ["\x06", ADA]],
  ["message", { message } as object, [1007]],
  ["message and textHeartbeat", { message, textHeartbeat: true } as object, ["\x06", "Ada"]],
])("a route with %s", async (_options, options, expected) => {
  const app = await listeningApp({}, (app) =>
    app.ws("/", options, (socket) => {
      socket.on("message", (data: unknown) => socket.send(typeof data === "string" ? data : (data as Ada).name));
    }));
  const client = await connectTo(app);
  client.send(Buffer.concat([text(HEARTBEAT), text(ADA)]));
  for (const next of expected) {
    expect(typeof next === "number" ? (await client.closed()).code : await client.nextMessage()).toBe(next);
  }
});

interface Ada {
  readonly name: string;
}
