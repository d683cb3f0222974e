/**
 * Testing handlers: `app.inject` connects in memory, through the real handshake and engine, without a port. Here a plain script tests; in yours, the test runner that
 * you like does.
 *
 *     node examples/testing.ts        (or: deno run -A …, bun …)
 */

import assert from "node:assert/strict";
import { type App, createApp, HttpError, InjectError } from "../mod.ts";

interface Clock {
  now(): string;
}

// What is tested. It takes its services from outside, so that a test can hand in others.
async function createClockApp(clock: Clock): Promise<App<{ clock: Clock }>> {
  const app = await createApp({ services: { clock }, wsOrigins: "https://mysite.com", logger: false });
  return app
    .get("/time", (_req, { clock }) => ({ time: clock.now() }))
    .ws("/time/:zone", {
      subprotocols: ["v1.time"],
      upgrade: ({ params: { zone } }) => {
        if (zone !== "utc") throw new HttpError(400, `Nobody knows the zone ${zone}`);
      },
    }, (socket, _req, { clock }) => {
      socket.on("message", (data) => {
        if (data === "time?") socket.send(clock.now());
        else socket.close(4000, "Ask for the time");
      });
    });
}

async function test(name: string, body: (app: App) => Promise<void>): Promise<void> {
  const app = await createClockApp({ now: () => "12:00" });
  try {
    await body(app);
    console.log(`ok: ${name}`);
  } finally {
    // Whoever is still connected is said goodbye to.
    await app.close();
  }
}

await test("the handler answers", async (app) => {
  const client = await app.inject("/time/utc");
  client.send("time?");
  assert.equal(await client.next(), "12:00");
  assert.deepEqual(await client.close(), { code: 1000, reason: "" });
});

await test("it says goodbye to who asks for something else", async (app) => {
  const client = await app.inject("/time/utc");
  client.send("weather?");
  assert.deepEqual(await client.closed, { code: 4000, reason: "Ask for the time" });
});

await test("the handshake agrees on the subprotocol", async (app) => {
  const client = await app.inject("/time/utc", { subprotocols: ["v2.time", "v1.time"] });
  assert.equal(client.protocol, "v1.time");
});

await test("a refusal is an error that has the answer", async (app) => {
  const refused = (path: string, headers = {}): Promise<void> =>
    assert.rejects(
      app.inject(path, { headers }),
      (error) => error instanceof InjectError && error.response.status >= 400,
    );
  await refused("/time/mars");
  await refused("/time/utc", { Origin: "https://evil.example" });
});

await test("the page answers", async (app) => {
  const response = await app.inject(new Request("http://app/time"));
  assert.deepEqual(await response.json(), { time: "12:00" });
});
