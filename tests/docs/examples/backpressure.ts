/** The blocks of code of docs/backpressure.md. */
import { Buffer } from "node:buffer";
import { expect } from "vitest";
import { read } from "../../support/repository.ts";
import { RawClient } from "../../support/raw-client.ts";
import type { Examples } from "../example.ts";

export const backpressure: Examples = {
  "backpressure ts": {
    run: async ({ app }) => {
      const client = await app.inject("/export");
      let row = 0;
      for await (const message of client) expect(JSON.parse(String(message)).row).toBe(row++);
      expect(row).toBe(10_000);
      expect(await client.closed).toEqual({ code: 1000, reason: "That is all" });
      // A client that goes away in the middle is no fault of the handler.
      const another = await app.inject("/export");
      await another.next();
      another.terminate();
      await expect.poll(() => app.sockets.size).toBe(0);
    },
  },
  "when-a-client-reads-slowly ts": {
    run: async ({ app }) => {
      const client = await app.inject("/file");
      const chunks: Buffer[] = [];
      for await (const message of client) chunks.push(Buffer.from(message));
      expect(Buffer.concat(chunks).toString()).toBe(read("package.json"));
      expect((await client.closed).code).toBe(1000);
    },
  },
  "the-limit ts": {
    run: async ({ app }) => {
      const client = await RawClient.connect(app.address!.port, { path: "/prices" });
      client.pause();
      await expect.poll(() => app.subscribers("prices")).toBe(1);
      const message = "x".repeat(16 * 1024);
      await expect.poll(() => {
        for (let i = 0; i < 1_000; i++) app.publish("prices", message);
        return app.stats().droppedMessages;
      }).toBeGreaterThan(0);
      expect(app.sockets.size).toBe(1);
      client.terminate();
    },
  },
  "when-a-client-sends-fast ts": {
    run: async ({ app }) => {
      const client = await app.inject("/import");
      for (let i = 0; i < 10; i++) client.send(`row ${i}`);
      expect(await client.close()).toEqual({ code: 1000, reason: "" });
    },
  },
  "who-gets-a-message ts": {
    run: async ({ app }) => {
      const client = await app.inject("/chat");
      for (const text of ["Ada", "hello", "again"]) client.send(text);
      expect([await client.next(), await client.next()]).toEqual(["Ada: hello", "Ada: again"]);
    },
  },
};
