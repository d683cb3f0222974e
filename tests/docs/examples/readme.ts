/** The blocks of code of README.md. */
import { expect } from "vitest";
import { redisServer } from "../../support/redis-server.ts";
import { BrowserPage } from "../browser-page.ts";
import { APP, type Examples } from "../example.ts";
import { startBlock } from "../program.ts";

export const readme: Examples = {
  "quick-start ts": {
    run: async ({ app }) => {
      const client = await app.inject("/echo");
      client.send("hello");
      expect(await client.next()).toBe("hello");
      const response = await app.inject(new Request("http://app/"));
      expect(await response.text()).toBe("Connect to /echo");
    },
  },
  "quick-start js": {
    run: async (_values, code) => {
      const { app } = await startBlock("README.md", "quick-start ts");
      const page = new BrowserPage(app.address!.port);
      page.run(code);
      await expect.poll(() => page.logged).toEqual(["hello"]);
    },
  },
  "send-to-many ts": {
    before: APP,
    run: async ({ app }) => {
      const [ada, bob, eve] = [
        await app.inject("/rooms/tea"),
        await app.inject("/rooms/tea"),
        await app.inject("/rooms/x"),
      ];
      ada.send("hello");
      expect([await ada.next(), await bob.next()]).toEqual(["hello", "hello"]);
      eve.send("alone");
      expect(await eve.next()).toBe("alone");
    },
  },
  "let-in-your-users-only ts": {
    before: APP,
    run: async ({ app }) => {
      const client = await app.inject("/account", { headers: { Cookie: "session=7", Origin: "https://mysite.com" } });
      expect(await client.next()).toBe("Hello, Ada");
      const evil = { Cookie: "session=7", Origin: "https://evil.example" };
      await expect(app.inject("/account", { headers: evil })).rejects.toThrow("refused with 403");
      await expect(app.inject("/account")).rejects.toThrow("refused with 403");
    },
  },
  "miss-nothing ts": {
    before: APP,
    run: async ({ app }) => {
      const say = async (body: string): Promise<string> =>
        (await (await app.inject(new Request("http://app/news", { method: "POST", body }))).json()).id;
      const id = await say("one");
      await say("two");
      const client = await app.inject(`/news?since=${id}`);
      expect(JSON.parse(String(await client.next()))).toMatchObject({ recovered: true });
      expect(JSON.parse(String(await client.next()))).toMatchObject({ topic: "news", data: "two" });
    },
  },
  "use-more-than-one-process ts": {
    server: { kind: redisServer, address: "localhost:6379" },
    run: async ({ app }) => {
      await expect.poll(() => app.stats().broker?.isConnected).toBe(true);
    },
  },
  "test-without-a-port ts": {
    before: `${APP}app.ws("/echo", (socket) => {
  socket.on("message", (data) => socket.send(data));
});
`,
  },
};
