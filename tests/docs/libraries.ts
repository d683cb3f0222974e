/** Drives the servers of the pages about libraries, among others with the clients of the same pages. */
import { expect, onTestFinished, vi } from "vitest";
import type { InjectedClient } from "../../mod.ts";
import type { Values } from "./example.ts";
import { blockOf } from "./pages.ts";
import { runBlock, startProgram } from "./program.ts";

/** The user whom the servers of the pages know. */
const headers = { Cookie: "session=7" };

/** Runs two blocks of a page: a server, and a client that has logged in before. */
export async function connectBlocks(page: string, serverName: string, clientName: string): Promise<Values> {
  const { app } = await runBlock(blockOf(page, serverName), {});
  const { code } = blockOf(page, clientName);
  expect(code).toContain("localhost:3000");
  logIn();
  return { ...await startProgram(code.replaceAll("localhost:3000", `127.0.0.1:${app.address!.port}`)), app };
}

/** Makes new sockets send a cookie, as those of a browser do after a login. */
function logIn(): void {
  const { WebSocket } = globalThis;
  class LoggedIn extends WebSocket {
    constructor(url: string | URL, protocols: string | string[] = []) {
      // Browsers take subprotocols only in this place. The three runtimes take headers too.
      super(url, { protocols: [protocols].flat(), headers } as unknown as string[]);
    }
  }
  vi.stubGlobal("WebSocket", LoggedIn);
  onTestFinished(() => void vi.unstubAllGlobals());
}

/** Connects as the user whom the server knows, after others have been refused. */
export async function logInTo({ app }: Values, path: string, ...subprotocols: string[]): Promise<InjectedClient> {
  await expect(app.inject(path, { subprotocols })).rejects.toThrow("refused with 403");
  const foreign = { ...headers, Origin: "https://evil.example" };
  await expect(app.inject(path, { subprotocols, headers: foreign })).rejects.toThrow("refused with 403");
  return await app.inject(path, { subprotocols, headers });
}

/** Waits for a message in JSON. */
export async function nextJson(client: InjectedClient): Promise<unknown> {
  return JSON.parse(String(await client.next()));
}

/** Collects what is written as an error until the test is finished. */
export function watchErrors(): readonly unknown[][] {
  const spy = vi.spyOn(console, "error").mockReturnValue();
  onTestFinished(() => spy.mockRestore());
  return spy.mock.calls;
}
