/** The blocks of code of the pages for those who come from another library: the same chat twice, for one test. */
import { io } from "socket.io-client";
import { expect, onTestFinished } from "vitest";
import { BrowserPage } from "../browser-page.ts";
import { chats, joinBySocketIo } from "../chat.ts";
import type { Example, Examples, Values } from "../example.ts";
import { blockOf } from "../pages.ts";
import { runBlock } from "../program.ts";

const ours: Example = {
  run: async ({ app }) => {
    await chats(app.address!.port);
    const headers = { Cookie: "session=7f3a", Origin: "https://another.example" };
    await expect(app.inject("/rooms/tea", { headers })).rejects.toThrow("refused with 403");
    await expect(app.inject("/rooms/tea")).rejects.toThrow("refused with 401");
  },
};

/** Prints the port of a server of node:http. */
const PRINT_PORT =
  `server.once("listening", () => console.log("port", (server.address() as { port: number }).port));\n`;

export const comingFromWs: Examples = {
  "coming-from-ws ts": { runtime: "node", after: PRINT_PORT, run: ({ port }) => chats(port) },
  "coming-from-ws ts 2": ours,
};

const socketIo: Example = { runtime: "node", after: PRINT_PORT, run: ({ port }) => chats(port, joinBySocketIo) };
const startSocketIo = (name: string, example: Example): Promise<Values> =>
  runBlock(blockOf("docs/coming-from-socket-io.md", name), example);

/** Runs the code of a page of Ada's. */
async function logs(expected: unknown, port: number, code: string, names: Record<string, unknown> = {}): Promise<void> {
  const page = new BrowserPage(port, "session=7f3a");
  page.run(code, names);
  await expect.poll(() => page.logged).toEqual([expected]);
}

export const comingFromSocketIo: Examples = {
  "coming-from-socketio ts": socketIo,
  "coming-from-socketio ts 2": ours,
  "the-page js": {
    run: async (_values, code) => {
      const { port } = await startSocketIo("coming-from-socketio ts", socketIo);
      const connect = (options: object) => {
        const extraHeaders = { Cookie: "session=7f3a" };
        const socket = io(`http://127.0.0.1:${port}`, { ...options, extraHeaders, forceNew: true });
        onTestFinished(() => void socket.disconnect());
        return socket;
      };
      await logs("Ada: hello", port, code, { io: connect });
    },
  },
  "the-page js 2": {
    run: async (_values, code) => {
      const { app } = await startSocketIo("coming-from-socketio ts 2", ours);
      await logs("Ada: hello", app.address!.port, code);
    },
  },
  "events-and-acknowledgements ts": {
    run: async ({ app }) => {
      const client = await app.inject("/shop");
      client.send(JSON.stringify({ type: "prize", id: 1, value: 2 }));
      expect(await client.closed).toEqual({ code: 4400, reason: "There is no such event" });
    },
  },
  "events-and-acknowledgements js": {
    run: async (_values, code) => {
      const { app } = await startSocketIo("events-and-acknowledgements ts", {});
      await logs(42, app.address!.port, code);
    },
  },
};

export const comingFromBun: Examples = {
  "coming-from-bunserve ts": {
    runtime: "bun",
    after: `console.log("port", server.port);\n`,
    run: ({ port }) => chats(port),
  },
  "coming-from-bunserve ts 2": ours,
};

export const comingFromDeno: Examples = {
  "coming-from-denoupgradewebsocket ts": {
    runtime: "deno",
    after: `console.log("port", server.addr.port);\n`,
    run: ({ port }) => chats(port),
  },
  "coming-from-denoupgradewebsocket ts 2": ours,
};

export const comingFromUWebSockets: Examples = {
  "coming-from-uwebsocketsjs ts 2": ours,
};
