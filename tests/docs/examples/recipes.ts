/** The blocks of code of docs/recipes.md. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import type { AddressInfo, Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createServer as createVite } from "vite";
import { expect, onTestFinished } from "vitest";
import { RawClient } from "../../support/raw-client.ts";
import { APP, type Examples, type Values } from "../example.ts";

const before = `${APP}app.ws("/news", (socket) => void socket.send("Welcome"));\n`;

/** A server for pages has the app's route at its own port. */
async function welcomes(server: Pick<Server, "address">): Promise<void> {
  const client = await RawClient.connect((server.address() as AddressInfo).port, { path: "/news" });
  onTestFinished(() => client.terminate());
  expect(await client.nextMessage()).toBe("Welcome");
}

export const recipes: Examples = {
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
