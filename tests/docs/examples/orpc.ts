/** The blocks of code of docs/orpc.md. */
import { expect } from "vitest";
import type { Examples } from "../example.ts";
import { connectBlocks, logInTo, watchErrors } from "../libraries.ts";

export const orpc: Examples = {
  "orpc ts": {
    run: async (values) => {
      const errors = watchErrors();
      const client = await logInTo(values, "/orpc");
      client.send("hello");
      expect(await client.closed).toMatchObject({ code: 1011 });
      expect(errors).toHaveLength(1);
    },
  },
  "orpc js": {
    run: async () => {
      const { client, websocket, app } = await connectBlocks("docs/orpc.md", "orpc ts", "orpc js");
      expect(await client.me()).toBe("Ada");
      expect(await client.measure(new Blob(["some bytes"]))).toBe(10);
      const counts: number[] = [];
      for await (const count of await client.countdown(3)) counts.push(count);
      expect(counts).toEqual([3, 2, 1]);
      const errors = watchErrors();
      await (await client.countdown(1_000_000)).next();
      websocket.close();
      await expect.poll(() => app.sockets.size).toBe(0);
      expect(errors).toEqual([]);
    },
  },
};
