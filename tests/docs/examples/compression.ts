/** The blocks of code of docs/compression.md. */
import { expect } from "vitest";
import type { Examples } from "../example.ts";

const OFFER = { headers: { "Sec-WebSocket-Extensions": "permessage-deflate" } };

export const compression: Examples = {
  "compression ts": {
    run: async ({ app }) => {
      expect((await app.inject("/prices", OFFER)).headers.get("sec-websocket-extensions")).toContain(
        "permessage-deflate",
      );
      const plain = await app.inject("/prices");
      expect(plain.headers.get("sec-websocket-extensions")).toBe(null);
      expect(JSON.parse(String(await plain.next()))).toHaveLength(200);
    },
  },
  "choose-for-one-message ts": {
    before: `import type { Socket } from "spacenode";
const sent: unknown[] = [];
const socket = { send: (...message: unknown[]) => void sent.push(message) } as unknown as Socket;
const image = new Uint8Array(9);
const page = "<!doctype html>";
`,
    run: ({ sent, image, page }) => expect(sent).toEqual([[image, { compress: false }], [page, { compress: true }]]),
  },
  "options ts": {
    run: async ({ app }) => {
      expect((await app.inject("/images", OFFER)).headers.get("sec-websocket-extensions")).toBe(null);
    },
  },
};
