// What an operator does gently, as clients meet it that others have written, in real time: a limit of the rate, an age,
// and a goodbye that is spread over a time.

import { expect, onTestFinished, test } from "vitest";
import type { AppOptions } from "../../mod.ts";
import { listeningApp } from "../support/app.ts";
import { ClientProcess, type ConnectionEvent } from "./client-process.ts";
import { clientKinds } from "./clients.ts";

const kinds = clientKinds.filter(({ name }) => name === "ws" || name === "undici's WebSocket");
const MESSAGES = 40;

async function echoApp(options: AppOptions): ReturnType<typeof listeningApp> {
  return await listeningApp(options, (app) => {
    app.ws("/", (socket) => void socket.on("message", (data) => socket.send(data)));
  });
}

/** The close of a client, without its time. */
function closeWith(code: number, reason: string): ConnectionEvent {
  return { event: "close", code, reason, wasClean: true };
}

test.each(kinds)("$name meets a rate limit, an age and a goodbye", async ({ command }) => {
  const process = new ClientProcess(command);
  onTestFinished(() => process.kill());

  const limited = await echoApp({ rateLimit: { messages: 10, perMs: 100 } });
  const client = process.connect(`${limited.url.replace("http", "ws")}/`);
  expect((await client.events.next()).event).toBe("open");
  const sentAtMs = performance.now();
  for (let i = 0; i < MESSAGES; i++) client.send(`${i}`);
  for (let i = 0; i < MESSAGES; i++) expect(await client.events.next()).toEqual({ event: "message", text: `${i}` });
  // Ten of them were read at once, and the others took 10 ms each.
  expect(performance.now() - sentAtMs).toBeGreaterThan(290);
  client.close(4000, "enough");
  expect(await client.events.next()).toEqual(closeWith(4000, "enough"));

  const aging = await echoApp({ maxAgeMs: 500 });
  const old = process.connect(`${aging.url.replace("http", "ws")}/`);
  expect((await old.events.next()).event).toBe("open");
  expect(await old.events.next()).toEqual(closeWith(1001, "The connection has reached its maximum age"));

  const leaving = await echoApp({});
  const clients = [1, 2, 3].map(() => process.connect(`${leaving.url.replace("http", "ws")}/`));
  for (const each of clients) expect((await each.events.next()).event).toBe("open");
  const closedAtMs: number[] = [];
  const closing = leaving.close({ code: 1012, overMs: 600 });
  const closes = clients.map(async (each) => {
    expect(await each.events.next()).toEqual(closeWith(1012, ""));
    closedAtMs.push(performance.now());
  });
  await Promise.all(closes);
  expect(await closing).toEqual({ closed: 3, terminated: 0 });
  // The Close frames come 200 ms apart.
  expect(closedAtMs[2]! - closedAtMs[0]!).toBeGreaterThan(200);
});
