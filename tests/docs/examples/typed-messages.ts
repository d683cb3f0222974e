/** The blocks of code of docs/typed-messages.md. */
import { expect } from "vitest";
import { APP, type Example, type Examples } from "../example.ts";

/** A block with one route: it gets some texts, and answers with others. */
function answers(path: string, texts: readonly string[], expected: readonly string[]): Example {
  return {
    run: async ({ app }) => {
      const client = await app.inject(path);
      for (const text of texts) client.send(text);
      for (const text of expected) expect(await client.next()).toBe(text);
    },
  };
}

export const typedMessages: Examples = {
  "typed-messages ts": {
    run: async ({ app }) => {
      const [ada, bob] = [await app.inject("/chat"), await app.inject("/chat")];
      ada.send('{"text":"hello"}');
      expect(await ada.next()).toBe('{"from":"you","text":"hello"}');
      expect(JSON.parse(String(await bob.next()))).toMatchObject({ text: "hello" });
      bob.send('{"text":7}');
      expect(await bob.closed).toEqual({ code: 1007, reason: "The message does not fit the schema" });
    },
  },
  "typed-messages ts 2": answers(
    "/counter",
    ['{"type":"add","amount":2}', '{"type":"add","amount":3}', '{"type":"reset","at":"2026-11-27T09:00:00Z"}'],
    ["2", "5", "0 since 2026"],
  ),
  "what-does-not-fit ts": {
    before: `${APP}import { z } from "zod";
`,
    run: async ({ app }) => {
      const client = await app.inject("/orders");
      client.send('{"item":"tea","count":1}');
      expect(await client.next()).toBe('{"ordered":"tea"}');
      for (const text of ["tea", '{"item":"tea","count":0}', '{"item":7,"count":1}']) client.send(text);
      expect(await client.next()).toBe('{"wrong":["The message is not JSON"]}');
      for (let i = 0; i < 2; i++) expect(JSON.parse(String(await client.next())).wrong).toHaveLength(1);
      expect(await client.closed).toEqual({ code: 4400, reason: "Too many mistakes" });
    },
  },
  "what-is-sent ts": {
    before: `${APP}app.ws("/clock", (socket) => void socket.send(JSON.stringify({ at: "2026-11-27T09:00:00Z" })));
await app.listen({ port: 0, host: "127.0.0.1" });
const shown: number[] = [];
const show = (year: number) => void shown.push(year);
const socket = new WebSocket(\`ws://127.0.0.1:\${app.address!.port}/clock\`);
`,
    run: async ({ shown }) => void await expect.poll(() => shown).toEqual([2026]),
  },
  "async-schemas ts": {
    before: APP,
    ...answers("/enter", ['"tea"', '"coffee"'], ["Welcome to tea", "There is no such room"]),
  },
};
