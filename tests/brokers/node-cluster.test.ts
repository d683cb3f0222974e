/** Apps in the workers of node:cluster. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { expect, onTestFinished, test } from "vitest";
import { close } from "../support/frames.ts";
import { RawClient } from "../support/raw-client.ts";
import { actualRuntime } from "../support/runtime.ts";

// Only Node has node:cluster. Under the other runtimes, the Node of the development dependencies is tested once more.
const node = actualRuntime().startsWith("node") ? process.execPath : "node";

test("the workers of node:cluster share a port, and close their sockets", async () => {
  const program = spawn(node, [join(import.meta.dirname, "../support/node-cluster.ts")], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  onTestFinished(() => void program.kill("SIGKILL"));
  const exited = once(program, "exit");
  const [port] = await once(createInterface({ input: program.stdout }), "line");
  const clients = new Map<string, RawClient>();
  // The workers get connections in turn.
  for (let i = 0; i < 3; i++) {
    const client = await RawClient.connect(Number(port));
    onTestFinished(() => client.terminate());
    clients.set(String(await client.nextMessage()), client);
  }
  expect(clients.size).toBe(3);
  process.kill(program.pid!, "SIGTERM");
  for (const client of clients.values()) {
    expect((await client.nextFrame()).payload.readUInt16BE(0)).toBe(1001);
    client.send(close(1001));
  }
  expect(await exited).toEqual([0, null]);
});
