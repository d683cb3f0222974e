/** Sockets that a process inherits (socket activation). */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import process from "node:process";
import { createInterface } from "node:readline";
import { expect, onTestFinished, test } from "vitest";
import { createApp } from "../../../mod.ts";
import { certificate, connectSecurely } from "../../support/certificate.ts";
import { close, text } from "../../support/frames.ts";
import { actualRuntime } from "../../support/runtime.ts";
import { StreamClient } from "../../support/stream-client.ts";

/**
 * A program for Node that does what systemd does: it opens a listening socket, and starts a program that inherits the
 * socket as fd 3. It keeps no copy of the socket.
 */
const ACTIVATOR = `
  const [command, ...args] = process.argv.slice(1);
  const server = require("node:net").createServer().listen(0, "127.0.0.1", () => {
    const stdio = ["ignore", "inherit", "inherit", server._handle.fd];
    const child = require("node:child_process").spawn(command, args, { stdio });
    console.log(server.address().port);
    server.close();
    process.on("SIGTERM", () => child.kill("SIGTERM"));
    child.on("exit", (code) => process.exit(code ?? 1));
  });
`;

// Deno and Bun do not tell the fd of a socket, so that Node passes one on to them.
const node = actualRuntime().startsWith("node") ? process.execPath : "node";

test.each(["tcp", "tls"])("an app listens at a socket that it has inherited: %s", async (kind) => {
  const [name] = actualRuntime().split("@");
  const program = [
    ...(name === "deno" ? ["run", "-A"] : []),
    join(import.meta.dirname, "../../support/activated-app.ts"),
  ];
  const { key: KEY, cert: CERT } = certificate();
  const activator = spawn(node, ["-e", ACTIVATOR, process.execPath, ...program, kind], {
    env: { ...process.env, KEY, CERT },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exited = once(activator, "exit");
  onTestFinished(async () => {
    activator.kill("SIGTERM");
    await exited;
  });
  const lines = createInterface({ input: activator.stdout })[Symbol.asyncIterator]();
  const port = Number((await lines.next()).value);
  const [pid, itsPort, url] = JSON.parse((await lines.next()).value!);
  expect([itsPort, url]).toEqual([port, `${kind === "tls" ? "https" : "http"}://127.0.0.1:${port}`]);

  const stream = (): ReturnType<typeof connect> =>
    kind === "tls" ? connectSecurely(port) : connect({ port, host: "127.0.0.1" });
  const page = stream();
  page.end("GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
  let response = "";
  for await (const chunk of page) response += chunk;
  expect(response).toMatch(new RegExp(`process ${pid}$`));

  const client = await StreamClient.connect(stream());
  client.send(text("hello"));
  expect(await client.nextMessage()).toBe("app: hello");
  client.send(close(1000));
  await client.closed();
  process.kill(activator.pid!, "SIGTERM");
  expect(await exited).toEqual([0, null]);
});

test("an fd that is no listening socket is an error that says what would be right", async () => {
  const file = openSync(import.meta.filename, "r");
  onTestFinished(() => closeSync(file));
  for (const fd of [file, 12_345]) {
    const app = await createApp();
    const error: NodeJS.ErrnoException = await app.listen({ fd }).then(
      () => expect.unreachable("It listens"),
      (e) => e,
    );
    expect(error.message).toMatch(new RegExp(`^The fd ${fd} cannot be listened at: .*It must be a listening socket`));
    expect(error.code).toMatch(/^E[A-Z]+$/);
    expect([app.address, app.url]).toEqual([undefined, ""]);
    await app.close();
  }
});
