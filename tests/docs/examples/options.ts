/** The blocks of code of docs/options.md. */
import { expect } from "vitest";
import { read } from "../../support/repository.ts";
import type { Examples } from "../example.ts";

export const options: Examples = {
  "options-methods-and-events ts": {
    run: async ({ app }) => {
      const client = await app.inject("/upload");
      client.send(new Uint8Array(100_000));
      expect(await client.next()).toBe("100000 bytes");
      client.send("hello");
      expect(await client.next()).toBe("Bytes, please");
    },
  },
  "code-for-another-websocket ts": {
    run: async ({ app }) => {
      const caller = await app.inject("/rpc");
      caller.send(JSON.stringify({ i: "1", p: { u: "/greet", b: { json: "Ada" } } }));
      expect(JSON.parse(String(await caller.next()))).toMatchObject({ i: "1", p: { b: { json: "Hello, Ada" } } });
      const client = await app.inject("/bytes");
      client.send(new Uint8Array([1, 2, 3]));
      expect(await client.next()).toEqual(Buffer.from([1, 2, 3]));
    },
  },
  "requests-paths-and-controllers ts": {
    run: async ({ app }) => {
      const get = (path: string): Promise<Response> => app.inject(new Request(`http://app/files/${path}`));
      expect(await (await get("start.md")).text()).toBe(read("docs/start.md"));
      expect((await get("..%2Fpackage.json")).status).toBe(404);
      expect((await get("none.md")).status).toBe(404);
      const post = new Request("http://app/notes/7", { method: "POST", body: '{"text":"hello"}' });
      expect(await (await app.inject(post)).json()).toEqual({ id: "7", note: { text: "hello" } });
    },
  },
  "services ts": {
    run: async ({ app }) => {
      expect(await (await app.inject(new Request("http://app/health"))).json()).toEqual({ ok: true, rooms: 3 });
    },
  },
};
