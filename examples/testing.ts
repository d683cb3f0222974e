/**
 * Tests of handlers: `app.inject` connects in memory, through the real handshake and protocol, without a port. This
 * example is a plain script. Your tests can use any test runner. Start it, and it prints one line for each test:
 *
 *     node examples/testing.ts        (or: deno run -A …, bun …)
 *
 * To try: change the reply of the handler, and see the test fail.
 */

import assert from "node:assert/strict";
import { type App, createApp, HttpError, InjectError } from "../mod.ts";

interface Clock {
  now(): string;
}

// The app under test. It takes its services as an argument, so that a test can pass others.
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
    // Closes the sockets that the test has left open.
    await app.close();
  }
}

await test("the handler sends the time", async (app) => {
  const client = await app.inject("/time/utc");
  client.send("time?");
  assert.equal(await client.next(), "12:00");
  assert.deepEqual(await client.close(), { code: 1000, reason: "" });
});

await test("the handler closes the socket of a client that asks for something else", async (app) => {
  const client = await app.inject("/time/utc");
  client.send("weather?");
  assert.deepEqual(await client.closed, { code: 4000, reason: "Ask for the time" });
});

await test("the handshake agrees on the subprotocol", async (app) => {
  const client = await app.inject("/time/utc", { subprotocols: ["v2.time", "v1.time"] });
  assert.equal(client.protocol, "v1.time");
});

await test("a refused handshake is an error that has the response", async (app) => {
  const refused = (path: string, headers = {}): Promise<void> =>
    assert.rejects(
      app.inject(path, { headers }),
      (error) => error instanceof InjectError && error.response.status >= 400,
    );
  await refused("/time/mars");
  await refused("/time/utc", { Origin: "https://evil.example" });
});

await test("the controller returns the time", async (app) => {
  const response = await app.inject(new Request("http://app/time"));
  assert.deepEqual(await response.json(), { time: "12:00" });
});
