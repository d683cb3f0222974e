/** The blocks of code of docs/protocol.md. */
import { expect } from "vitest";
import type { Examples } from "../example.ts";

export const protocol: Examples = {
  "close-codes-and-protocol ts": {
    run: async ({ app }) => {
      const client = await app.inject("/chat");
      client.send("bye");
      expect(await client.closed).toEqual({ code: 4000, reason: "You said bye" });
    },
  },
};
