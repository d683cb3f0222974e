/** Every example is started as its first lines say, on the runtime that the test is on, and does what it promises. */

import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { request as startRequest } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text as textOf } from "node:stream/consumers";
import { expect, onTestFinished, test } from "vitest";
import { certificate, connectSecurely } from "./support/certificate.ts";
import { close, text } from "./support/frames.ts";
import { Program } from "./support/program.ts";
import { RawClient, rawRequest, statusOf, upgradeRequest } from "./support/raw-client.ts";
import { StreamClient } from "./support/stream-client.ts";

const folder = join(import.meta.dirname, "../examples");

interface Running {
  readonly program: Program;
  readonly url: string;
  readonly port: number;
}

/** Starts an example at any free port. */
async function start(name: string, env: NodeJS.ProcessEnv = {}): Promise<Running> {
  const program = Program.file(`examples/${name}`, { PORT: "0", ...env });
  const [url] = await program.line(/https?:\/\/localhost:\d+/);
  return { program, url, port: Number(new URL(url).port) };
}

async function connect(port: number, path: string, headers: Record<string, string> = {}): Promise<RawClient> {
  const client = await RawClient.connect(port, { path, headers });
  onTestFinished(() => client.terminate());
  return client;
}

/** The example says goodbye to whoever is connected, and ends by itself. */
async function expectGoodbye({ program }: Running, ...clients: RawClient[]): Promise<void> {
  program.kill("SIGTERM");
  for (const client of clients) {
    while (client.closeFrame === undefined) await client.nextFrame();
    expect(client.closeFrame.payload.readUInt16BE(0)).toBe(1001);
    client.send(close(1001));
  }
  expect(await program.exited).toEqual({ code: 0, signal: null });
  expect(program.errors).toBe("");
}

test("auth-by-cookie.ts lets in who has signed in, from its own page, and shows out who signs out", async () => {
  const running = await start("auth-by-cookie.ts");
  const { url, port } = running;
  expect(await (await fetch(url)).text()).toContain("Sign in");
  expect((await fetch(`${url}/login`, { method: "POST", body: " " })).status).toBe(400);

  const login = await fetch(`${url}/login`, { method: "POST", body: "Ada" });
  expect(login.status).toBe(204);
  const [cookie] = login.headers.getSetCookie();
  expect(cookie).toMatch(/^session=[\w-]{36}; Path=\/; HttpOnly; SameSite=Strict$/);
  const headers = { Cookie: `theme=dark; ${cookie.split(";")[0]}`, Host: "mysite.com" };
  const client = await connect(port, "/greeting", { ...headers, Origin: "https://mysite.com" });
  expect(await client.nextMessage()).toBe("Hello, Ada");

  const statusWith = async (headers: Record<string, string>): Promise<number> =>
    statusOf(await rawRequest(port, upgradeRequest("/greeting", headers)));
  expect(await statusWith({})).toBe(401);
  expect(await statusWith({ Cookie: "session=stolen" })).toBe(401);
  expect(await statusWith({ ...headers, Origin: "https://evil.com" })).toBe(403);

  expect((await fetch(`${url}/logout`, { method: "POST", headers: { Cookie: headers.Cookie } })).status).toBe(204);
  while (client.closeFrame === undefined) await client.nextFrame();
  client.send(close(4401));
  expect(await client.closed()).toMatchObject({ code: 4401, reason: "Signed out" });
  expect(await statusWith(headers)).toBe(401);
  await expectGoodbye(running);
});

test("express.ts has Express's routes and our WebSockets on one port", async () => {
  const running = await start("express.ts");
  const { url, port } = running;
  expect(await (await fetch(url)).text()).toContain("Beside Express");
  const clients = [await connect(port, "/news"), await connect(port, "/news")];
  for (const client of clients) expect(await client.nextMessage()).toBe("You will hear what is new here.");
  const headers = { "Content-Type": "text/plain", Connection: "close" };
  const told = await fetch(`${url}/news`, { method: "POST", headers, body: "It works" });
  expect(await told.json()).toEqual({ told: 2 });
  for (const client of clients) expect(await client.nextMessage()).toBe("It works");
  await expectGoodbye(running, ...clients);
});

test("rooms.ts tells a room what is said in it, and nobody else", async () => {
  const running = await start("rooms.ts");
  const { url, port } = running;
  const [ada, bob] = [await connect(port, "/rooms/tea"), await connect(port, "/rooms/tea")];
  const eve = await connect(port, "/rooms/coffee");
  expect(await ada.nextMessage()).toBe("One has come, 1 here");
  expect([await ada.nextMessage(), await bob.nextMessage()]).toEqual(Array(2).fill("One has come, 2 here"));
  expect(await eve.nextMessage()).toBe("One has come, 1 here");
  ada.send(text("Is anybody here?"));
  expect([await ada.nextMessage(), await bob.nextMessage()]).toEqual(Array(2).fill("Is anybody here?"));
  eve.send(text("Coffee only"));
  expect(await eve.nextMessage()).toBe("Coffee only");
  expect(await (await fetch(`${url}/rooms`)).json()).toEqual({ tea: 2, coffee: 1 });
  bob.reset();
  expect(await ada.nextMessage()).toBe("One has left, 1 here");
  expect(await (await fetch(url)).text()).toContain("<title>Rooms</title>");
  await expectGoodbye(running, ada, eve);
});

test("tls.ts speaks https and wss with the certificate that it is given", async () => {
  const place = await mkdtemp(join(tmpdir(), "spacenode-"));
  onTestFinished(() => rm(place, { recursive: true }));
  const { key, cert } = certificate();
  const [KEY, CERT] = [join(place, "key.pem"), join(place, "cert.pem")];
  await writeFile(KEY, key);
  await writeFile(CERT, cert);
  const running = await start("tls.ts", { KEY, CERT });
  const client = await StreamClient.connect(connectSecurely(running.port), "/echo");
  client.send(text("hello"));
  expect(await client.nextMessage()).toBe("hello");
  client.send(close(1000));
  expect((await client.closed()).code).toBe(1000);
  const request = startRequest(running.url, { ca: cert, agent: false }).end();
  const [response] = await once(request, "response");
  expect(await textOf(response)).toBe("This page came over https.\n");
  await expectGoodbye(running);
});

test("tls.ts makes a certificate when it is given none", async () => {
  const running = await start("tls.ts");
  const request = startRequest(running.url, { rejectUnauthorized: false, agent: false }).end();
  const [response] = await once(request, "response");
  expect(response.statusCode).toBe(200);
  expect(await textOf(response)).toBe("This page came over https.\n");
  await expectGoodbye(running);
});

test("testing.ts tests its handlers and ends by itself", async () => {
  const program = Program.file("examples/testing.ts");
  expect(await program.exited).toEqual({ code: 0, signal: null });
  expect(program.lines).toEqual([
    "ok: the handler answers",
    "ok: it says goodbye to who asks for something else",
    "ok: the handshake agrees on the subprotocol",
    "ok: a refusal is an error that has the answer",
    "ok: the page answers",
  ]);
});

test("each example says how it is started, and is run here", async () => {
  const thisFile = await readFile(import.meta.filename, "utf8");
  const names = (await readdir(folder)).filter((name) => name.endsWith(".ts"));
  expect(names.length).toBeGreaterThan(0);
  for (const name of names) {
    expect(await readFile(join(folder, name), "utf8")).toContain(`    node examples/${name} `);
    expect(thisFile).toMatch(new RegExp(`(start\\("|Program\\.file\\("examples/)${name}"`));
  }
});
