/** The blocks of code of docs/security.md. */
import { expect } from "vitest";
import type { Examples } from "../example.ts";

export const security: Examples = {
  "security ts": {
    run: async ({ app }) => {
      const headers = { Cookie: "session=7", Origin: "https://mysite.com" };
      const client = await app.inject("/chat", { headers });
      client.send("hello");
      expect(await client.next()).toBe("hello");
      await expect(app.inject("/chat")).rejects.toThrow("refused with 401");
      const evil = { ...headers, Origin: "https://evil.example" };
      await expect(app.inject("/chat", { headers: evil })).rejects.toThrow("refused with 403");
    },
  },
  "what-clients-send ts": {
    run: async ({ app }) => {
      const [ada, bob] = [await app.inject("/rooms/tea"), await app.inject("/rooms/tea")];
      ada.send('{"say":"hello","admin":true}');
      expect(await bob.next()).toBe('{"say":"hello"}');
      for (const text of ["hello", "{}", "null", `{"say":"${"x".repeat(1_001)}"}`]) {
        const client = await app.inject("/rooms/coffee");
        client.send(text);
        expect(await client.closed).toEqual({ code: 1007, reason: "That is no message" });
      }
      await expect(app.inject(`/rooms/${"x".repeat(600)}`)).rejects.toThrow("refused with 404");
    },
  },
};
