/** The blocks of code of docs/scaling.md. */
import { expect } from "vitest";
import { natsServer } from "../../support/nats-server.ts";
import { redisServer } from "../../support/redis-server.ts";
import { BrowserPage } from "../browser-page.ts";
import { APP, type Examples } from "../example.ts";
import { startProgram } from "../program.ts";

export const scaling: Examples = {
  "scaling ts": {
    server: { kind: redisServer, address: "localhost:6379" },
    run: async ({ app }) => {
      await expect.poll(() => app.stats().broker?.isConnected).toBe(true);
      const [ada, bob] = [await app.inject("/chat"), await app.inject("/chat")];
      ada.send("hello");
      expect([await ada.next(), await bob.next()]).toEqual(["hello", "hello"]);
    },
  },
  "scaling ts 2": {
    server: { kind: natsServer, address: "localhost:4222" },
    run: async ({ app, connection }) => {
      await expect.poll(() => app.stats().broker?.isConnected).toBe(true);
      await app.close();
      await (await connection).close();
    },
  },
  "deploys js": {
    run: async (_values, code) => {
      const { app } = await startProgram(`${APP}app.ws("/chat", () => {});\nawait app.listen(0);\n`);
      new BrowserPage(app.address!.port).run(code);
      for (let times = 1; times <= 3; times++) {
        await expect.poll(() => [app.sockets.size, app.stats().accepted]).toEqual([1, times]);
        for (const socket of app.sockets) socket.terminate();
      }
    },
  },
};
