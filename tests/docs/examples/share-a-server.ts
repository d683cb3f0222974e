/** The blocks of code of docs/share-a-server.md. */
import type { AddressInfo } from "node:net";
import process from "node:process";
import { expect, onTestFinished } from "vitest";
import { RawClient } from "../../support/raw-client.ts";
import type { Examples, Values } from "../example.ts";

const portOf = ({ server }: Values): number => (server.address() as AddressInfo).port;

async function says(values: Values, path: string, text: string): Promise<RawClient> {
  const client = await RawClient.connect(portOf(values), { path });
  onTestFinished(() => client.terminate());
  expect(await client.nextMessage()).toBe(text);
  return client;
}

export const shareAServer: Examples = {
  "share-a-server ts": {
    run: async (values) => {
      const response = await fetch(`http://127.0.0.1:${portOf(values)}/`, { headers: { Connection: "close" } });
      expect(await response.text()).toBe("A page of Express");
      await says(values, "/news", "Welcome");
    },
  },
  "a-listener-that-decides ts": {
    run: async (values) => {
      await says(values, "/ours", "ours");
      await says(values, "/theirs?a=b", "theirs");
    },
  },
  "close ts": {
    run: async (values) => {
      values.app.ws("/", (socket) => void socket.send("hello"));
      const client = await says(values, "/", "hello");
      process.emit("SIGTERM");
      while (client.closeFrame === undefined) await client.nextFrame();
      expect(client.closeFrame.payload.readUInt16BE(0)).toBe(1001);
      expect(values.server.listening).toBe(false);
    },
  },
};
