/** The blocks of code of docs/start.md. */
import { expect } from "vitest";
import type { InjectedClient } from "../../../mod.ts";
import { APP, type Examples, type Values } from "../example.ts";

async function connectAll({ app }: Values, ...paths: readonly string[]): Promise<InjectedClient[]> {
  return await Promise.all(paths.map((path) => app.inject(path)));
}

async function hear(clients: readonly InjectedClient[], text: string): Promise<void> {
  for (const client of clients) expect(await client.next()).toBe(text);
}

export const start: Examples = {
  "start ts": {
    run: async (values) => {
      const clients = await connectAll(values, "/chat", "/chat");
      clients[0]!.send("hello");
      await hear(clients, "hello");
    },
  },
  "connect-from-a-page ts": {
    before: APP,
    run: async ({ app }) => {
      const response = await app.inject(new Request("http://app/"));
      expect(response.headers.get("content-type")).toBe("text/html; charset=utf-8");
      expect(await response.text()).toContain("<title>Chat</title>");
    },
  },
  "a-room-for-each-name ts": {
    run: async (values) => {
      const [ada, bob, eve] = await connectAll(values, "/rooms/tea", "/rooms/tea", "/rooms/coffee");
      ada!.send("hello");
      await hear([bob!], "hello");
      const post = new Request("http://app/rooms/tea", { method: "POST", body: "news" });
      expect(await (await values.app.inject(post)).json()).toBe(2);
      await hear([ada!, bob!], "news");
      const people = await (await values.app.inject(new Request("http://app/rooms/coffee/people"))).json();
      expect(people).toEqual([{
        id: expect.any(String),
        processId: values.app.id,
        data: { since: expect.any(Number) },
      }]);
      await eve!.close();
      await expect(values.app.inject(`/rooms/${"x".repeat(600)}`)).rejects.toThrow("refused with 404");
    },
  },
  "without-topics ts": {
    run: async (values) => {
      const clients = await connectAll(values, "/feed", "/feed");
      clients[1]!.send("hello");
      await hear(clients, "hello");
      await clients[0]!.close();
      await expect.poll(() => values.clients.size).toBe(1);
    },
  },
};
