/** The blocks of code of docs/recipes.md. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import type { AddressInfo, Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createServer as createVite } from "vite";
import { expect, onTestFinished, vi } from "vitest";
import { RawClient } from "../../support/raw-client.ts";
import { APP, type Examples, type Values } from "../example.ts";
import { connectBlocks, logInTo, nextJson } from "../libraries.ts";

const before = `${APP}app.ws("/news", (socket) => void socket.send("Welcome"));\n`;

/** A server for pages has the app's route at its own port. */
async function welcomes(server: Pick<Server, "address">): Promise<void> {
  const client = await RawClient.connect((server.address() as AddressInfo).port, { path: "/news" });
  onTestFinished(() => client.terminate());
  expect(await client.nextMessage()).toBe("Welcome");
}

export const recipes: Examples = {
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
      const { peer, socket } = await connectBlocks("docs/recipes.md", "json-rpc ts", "json-rpc js");
      await expect.poll(() => log.mock.calls).toEqual([["Welcome, Ada, your version is 1.2.3"]]);
      expect(await peer.request("me", [])).toBe("Ada");
      socket.close();
    },
  },
  "express ts": { before, run: ({ server }) => welcomes(server) },
  "fastify ts": {
    before,
    run: async ({ site, app }) => {
      onTestFinished(() => site.close());
      await welcomes(site.server);
      await app.close({ timeoutMs: 0 });
    },
  },
  "hono ts": { before, run: ({ server }) => welcomes(server) },
  "vite ts": {
    before,
    run: async (values: Values) => {
      const root = await mkdtemp(join(tmpdir(), "spacenode-vite-"));
      await writeFile(join(root, "index.html"), "<p>A page of Vite</p>");
      const server = { host: "127.0.0.1", port: 0 };
      const vite = await createVite({ ...values.default, root, server, configFile: false, logLevel: "silent" });
      onTestFinished(async () => {
        await values.app.close({ timeoutMs: 0 });
        await vite.close();
        await rm(root, { recursive: true });
      });
      await vite.listen();
      await welcomes(vite.httpServer as Server);
    },
  },
};
