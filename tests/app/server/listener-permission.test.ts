/** A process that may not use the network: Node 26 and Deno refuse to listen by an error that `listen` throws. */

import { Server } from "node:http";
import { expect, test, vi } from "vitest";
import { createApp } from "../../../mod.ts";

test("listen rejects with an error that names the port when the process may not use the network", async () => {
  const denied = Object.assign(new Error("Use --allow-net"), { code: "ERR_ACCESS_DENIED" });
  const listen = vi.spyOn(Server.prototype, "listen").mockImplementation(() => {
    throw denied;
  });
  const app = await createApp();
  try {
    await expect(app.listen(8080)).rejects.toMatchObject({
      message: "Port 8080 cannot be listened at: Use --allow-net",
      code: "ERR_ACCESS_DENIED",
      cause: denied,
    });
  } finally {
    listen.mockRestore();
  }
  await app.listen(0);
  expect(app.address?.port).toBeGreaterThan(0);
  await app.close();
});
