/** When an app says that it is ready, on each way in. */

import { once } from "node:events";
import { createServer } from "node:http";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { createApp } from "../../mod.ts";
import { ask, connectTo, listeningApp } from "../support/app.ts";
import { certificate } from "../support/certificate.ts";
import { close, opcodes } from "../support/frames.ts";

const failing = {
  services: {
    database: (): never => {
      throw new Error("no database");
    },
  },
  logger: false as const,
};

describe("an app that listens", () => {
  test.each([
    ["at a port", {}, { port: 0, host: "127.0.0.1" }],
    ["at a port, over TLS", { tls: certificate() }, { port: 0, host: "127.0.0.1" }],
    ["at a port that processes share", {}, { port: 0, host: "127.0.0.1", reusePort: true }],
    ["at a Unix socket", {}, undefined],
  ])("is ready from then on, and no more from the call of close: %s", async (_name, options, where) => {
    const folder = await mkdtemp(join(tmpdir(), "spacenode-"));
    onTestFinished(() => rm(folder, { recursive: true }));
    const app = await createApp({ ...options, logger: false });
    expect(app.isReady).toBe(false);
    const listening = app.listen(where ?? { path: join(folder, "socket") });
    expect(app.isReady).toBe(false);
    await listening;
    expect(app.isReady).toBe(true);
    const closing = app.close();
    expect(app.isReady).toBe(false);
    await closing;
    expect(app.isReady).toBe(false);
  });

  test("is not ready while its services are made, nor when one of them has failed", async () => {
    const made = Promise.withResolvers<string>();
    const app = await createApp({ services: { slow: () => made.promise }, logger: false });
    const listening = app.listen({ port: 0, host: "127.0.0.1" });
    await new Promise((resolve) => setImmediate(resolve));
    expect(app.isReady).toBe(false);
    made.resolve("made");
    await listening;
    expect(app.isReady).toBe(true);
    await app.close();

    const broken = await createApp(failing);
    await expect(broken.listen({ port: 0, host: "127.0.0.1" })).rejects.toThrow("no database");
    expect(broken.isReady).toBe(false);
    await broken.close();
  });

  test("tells a probe so, on a connection that stays while the app closes too", async () => {
    const app = await listeningApp(
      {},
      (app) => app.get("/ready", () => new Response(null, { status: app.isReady ? 204 : 503 })).ws("/", () => {}),
    );
    expect((await ask(app, "/ready")).status).toBe(204);
    const inject = (): Promise<Response> => app.inject(new Request("http://app/ready"));
    expect((await inject()).status).toBe(204);
    const client = await connectTo(app);
    const answer = inject();
    const closing = app.close({ timeoutMs: 2_000 });
    expect((await client.nextFrame()).opcode).toBe(opcodes.close);
    expect([(await answer).status, app.isReady]).toEqual([503, false]);
    client.send(close(1001));
    await closing;
  });
});

describe("an app that is attached", () => {
  test("is ready while the server listens", async () => {
    const server = createServer();
    const app = await createApp({ logger: false });
    app.attach(server);
    expect(app.isReady).toBe(false);
    await once(server.listen(0, "127.0.0.1"), "listening");
    expect(app.isReady).toBe(true);
    const closed = once(server, "close");
    server.close();
    await closed;
    expect(app.isReady).toBe(false);
    await once(server.listen(0, "127.0.0.1"), "listening");
    expect(app.isReady).toBe(true);
    await app.close();
    expect([app.isReady, server.listening]).toEqual([false, true]);
    server.close();
  });

  test("is not ready any more when a service has failed at the first handshake", async () => {
    const server = createServer();
    const app = await createApp(failing);
    app.ws("/", () => {}).attach(server);
    await once(server.listen(0, "127.0.0.1"), "listening");
    onTestFinished(() => void server.close());
    expect(app.isReady).toBe(true);
    await expect(connectTo({ address: server.address() as never })).rejects.toThrow(/500/);
    expect(app.isReady).toBe(false);
    await app.close();
  });
});
