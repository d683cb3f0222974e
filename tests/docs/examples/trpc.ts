/** The blocks of code of docs/trpc.md. */
import { expect, onTestFinished } from "vitest";
import type { Examples } from "../example.ts";
import { connectBlocks, logInTo, nextJson, watchErrors } from "../libraries.ts";

export const trpc: Examples = {
  "trpc ts": {
    run: async (values) => {
      const client = await logInTo(values, "/trpc");
      client.send("PING");
      expect(await client.next()).toBe("PONG");
      client.send("hello");
      expect(await nextJson(client)).toMatchObject({ error: { data: { code: "PARSE_ERROR" } } });
      const call = { method: "query", params: { path: "me" } };
      client.send(JSON.stringify(Array.from({ length: 21 }, (_, id) => ({ ...call, id }))));
      expect(await nextJson(client)).toMatchObject({ id: 0, error: { data: { code: "BAD_REQUEST" } } });
    },
  },
  "trpc js": {
    run: async () => {
      const { client, connection, app } = await connectBlocks("docs/trpc.md", "trpc ts", "trpc js");
      onTestFinished(() => connection.close());
      expect(await client.me.query()).toBe("Ada");
      expect(await client.rename.mutate("Grace")).toBe("Grace");
      expect(await client.me.query()).toBe("Grace");
      const counts: number[] = [];
      await new Promise<void>((onComplete, onError) => {
        client.countdown.subscribe(3, { onData: (count: number) => counts.push(count), onComplete, onError });
      });
      expect(counts).toEqual([3, 2, 1]);
      const errors = watchErrors();
      await new Promise((onData) => client.countdown.subscribe(1_000_000, { onData }));
      await connection.close();
      await expect.poll(() => app.sockets.size).toBe(0);
      expect(errors).toEqual([]);
    },
  },
};
