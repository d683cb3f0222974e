/** The blocks of code of docs/behind-a-proxy.md. */
import { expect } from "vitest";
import type { Examples } from "../example.ts";

export const behindAProxy: Examples = {
  "behind-a-proxy ts": {
    run: async ({ app }) => {
      const headers = {
        "X-Forwarded-For": "192.0.2.1",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "mysite.com",
      };
      const response = await app.inject(new Request("http://app/address", { headers }));
      expect(await response.text()).toBe("https://mysite.com for 192.0.2.1");
      const client = await app.inject("/echo", { headers: { ...headers, Origin: "https://mysite.com" } });
      client.send("hello");
      expect(await client.next()).toBe("hello");
    },
  },
};
