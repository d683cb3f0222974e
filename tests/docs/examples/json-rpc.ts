/** The blocks of code of docs/json-rpc.md. */
import { expect, onTestFinished, vi } from "vitest";
import type { Examples } from "../example.ts";
import { connectBlocks, logInTo, nextJson } from "../libraries.ts";

export const jsonRpc: Examples = {
  "json-rpc ts": {
    run: async (values) => {
      const client = await logInTo(values, "/rpc");
      expect(await nextJson(client)).toMatchObject({ method: "version" });
      client.send(JSON.stringify({ jsonrpc: "2.0", id: 1, method: "add", params: [2, 3] }));
      expect(await nextJson(client)).toEqual({ jsonrpc: "2.0", id: 1, result: 5 });
      client.send("hello");
      expect(await client.closed).toMatchObject({ code: 1007, reason: "This is not JSON-RPC" });
    },
  },
  "json-rpc js": {
    run: async () => {
      const log = vi.spyOn(console, "log").mockReturnValue();
      onTestFinished(() => log.mockRestore());
      const { peer, socket } = await connectBlocks("docs/json-rpc.md", "json-rpc ts", "json-rpc js");
      await expect.poll(() => log.mock.calls).toEqual([["Welcome, Ada, your version is 1.2.3"]]);
      expect(await peer.request("me", [])).toBe("Ada");
      socket.close();
    },
  },
};
