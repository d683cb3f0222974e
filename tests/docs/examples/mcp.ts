/** The blocks of code of docs/mcp.md. */
import { expect } from "vitest";
import type { Examples } from "../example.ts";
import { connectBlocks, nextJson } from "../libraries.ts";

export const mcp: Examples = {
  "mcp ts": {
    run: async ({ app }) => {
      await expect(app.inject("/mcp?ticket=none", { subprotocols: ["mcp"] })).rejects.toThrow("refused with 403");
      const client = await app.inject("/mcp?ticket=4f1c", { subprotocols: ["mcp"] });
      expect(client.protocol).toBe("mcp");
      client.send("hello");
      client.send(JSON.stringify({ jsonrpc: "2.0", id: 1, method: "ping" }));
      expect(await nextJson(client)).toEqual({ jsonrpc: "2.0", id: 1, result: {} });
    },
  },
  "mcp js": {
    run: async () => {
      const { client, app } = await connectBlocks("docs/mcp.md", "mcp ts", "mcp js");
      expect((await client.listTools()).tools).toMatchObject([{ name: "add" }]);
      const { content } = await client.callTool({ name: "add", arguments: { a: 2, b: 3 } });
      expect(content).toEqual([{ type: "text", text: "Ada, that is 5" }]);
      await client.close();
      await expect.poll(() => app.sockets.size).toBe(0);
    },
  },
};
