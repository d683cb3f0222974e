/** The blocks of code of docs/authentication.md. */
import { expect } from "vitest";
import type { InjectOptions } from "../../../mod.ts";
import { BrowserPage } from "../browser-page.ts";
import type { Examples, Values } from "../example.ts";
import { startBlock } from "../program.ts";

async function greets({ app }: Values, path: string, options: InjectOptions = {}): Promise<void> {
  expect(await (await app.inject(path, options)).next()).toBe("Hello, Ada");
}

async function refuses({ app }: Values, status: number, path: string, options: InjectOptions = {}): Promise<void> {
  await expect(app.inject(path, options)).rejects.toThrow(`refused with ${status}`);
}

/** Runs the code of a page that has a token, in front of the server of another block. */
async function greetsPage(serverBlock: string, code: string): Promise<void> {
  const { app } = await startBlock("docs/authentication.md", serverBlock);
  const page = new BrowserPage(app.address!.port);
  page.run(code, { token: "abc" });
  await expect.poll(() => page.logged).toEqual(["Hello, Ada"]);
}

export const authentication: Examples = {
  "authentication ts": {
    run: async (values) => {
      await greets(values, "/account", {
        headers: { Cookie: "theme=dark; session=7f3a", Origin: "https://mysite.com" },
      });
      await refuses(values, 401, "/account");
      await refuses(values, 401, "/account", { headers: { Cookie: "session=7f3b" } });
      await refuses(values, 403, "/account", { headers: { Cookie: "session=7f3a", Origin: "https://evil.example" } });
    },
  },
  "a-cookie-and-the-origin ts": {
    run: async (values) => {
      values.app.ws("/", (socket) => void socket.send("Hello, Ada"));
      for (const origin of ["https://mysite.com", "https://a.b.mysite.com"]) {
        await greets(values, "/", { headers: { Origin: origin } });
      }
      await refuses(values, 403, "/", { headers: { Origin: "http://mysite.com" } });
    },
  },
  "a-cookie-and-the-origin ts 2": {
    run: async ({ app, sessions }) => {
      const login = (body: string): Promise<Response> =>
        app.inject(new Request("http://app/login", { method: "POST", body }));
      const { status, headers } = await login("Ada");
      expect(status).toBe(204);
      const [id] = [...sessions.keys()];
      expect(headers.get("set-cookie")).toBe(`session=${id}; Path=/; HttpOnly; Secure; SameSite=Strict`);
      expect((await login(" ")).status).toBe(400);
    },
  },
  "a-token-in-the-subprotocol js": {
    run: (_values, code) => greetsPage("a-token-in-the-subprotocol ts", code),
  },
  "a-token-in-the-subprotocol ts": {
    run: async (values) => {
      await greets(values, "/feed", { subprotocols: ["v1.feed", "token.abc"] });
      await refuses(values, 401, "/feed", { subprotocols: ["v1.feed", "token.abd"] });
      await refuses(values, 401, "/feed");
    },
  },
  "a-token-in-the-first-message ts": {
    run: async ({ app }) => {
      const client = await app.inject("/feed");
      client.send("abc");
      expect(await client.next()).toBe("Hello, Ada");
      client.send("again");
      expect(await client.next()).toBe("again");
      const stranger = await app.inject("/feed");
      stranger.send("abd");
      expect(await stranger.closed).toEqual({ code: 4401, reason: "The token is not valid" });
    },
  },
  "a-ticket-that-is-good-once js": {
    run: (_values, code) => greetsPage("a-ticket-that-is-good-once ts", code),
  },
  "a-ticket-that-is-good-once ts": {
    run: async (values) => {
      const fetchTicket = (authorization: string): Promise<Response> =>
        values.app.inject(new Request("http://app/tickets", { method: "POST", headers: { authorization } }));
      const { ticket } = await (await fetchTicket("Bearer abc")).json();
      await greets(values, `/feed?ticket=${ticket}`);
      await refuses(values, 401, `/feed?ticket=${ticket}`);
      await refuses(values, 401, "/feed");
      expect((await fetchTicket("Bearer abd")).status).toBe(401);
    },
  },
  "clients-that-are-not-browsers ts": {
    run: async (values) => {
      const client = await values.app.inject("/ingest", { headers: { Authorization: "Bearer test" } });
      expect(await client.close()).toEqual({ code: 1000, reason: "" });
      await refuses(values, 401, "/ingest", { headers: { Authorization: "Bearer tess" } });
    },
  },
  "when-a-login-ends ts": {
    run: async ({ app, logins }) => {
      const connect = () => app.inject("/feed?token=abc");
      const [first, second] = [await connect(), await connect()];
      logins.set("def", { name: "Ada", expiresAt: Date.now() + 120_000 });
      second.send("def");
      await expect.poll(() => [...app.sockets].filter(({ data }) => data === logins.get("def")).length).toBe(1);
      logins.get("abc").expiresAt = Date.now() - 1;
      expect(await first.closed).toEqual({ code: 4401, reason: "The login has expired" });
      await app.inject(new Request("http://app/logout/Ada", { method: "POST" }));
      expect(await second.closed).toEqual({ code: 4401, reason: "Logged out" });
      await expect(connect()).rejects.toThrow("refused with 401");
    },
  },
};
