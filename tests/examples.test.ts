/** Every example starts as its head comment says, under the runtime of the test, and does what the comment promises. */

import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { request as startRequest } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text as textOf } from "node:stream/consumers";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import type { Report } from "../examples/dashboard/figures.ts";
import { certificate, connectSecurely } from "./support/certificate.ts";
import { close, text } from "./support/frames.ts";
import { natsServer } from "./support/nats-server.ts";
import { Program } from "./support/program.ts";
import { RawClient, rawRequest, statusOf, upgradeRequest } from "./support/raw-client.ts";
import { redisServer } from "./support/redis-server.ts";
import { isInstalled, type ServerKind, ServerProgram } from "./support/server-program.ts";
import { StreamClient } from "./support/stream-client.ts";

/** A program that runs several processes takes seconds to start on a busy machine. */
const TIMEOUT_MS = 60_000;
const folder = join(import.meta.dirname, "../examples");

/** An example that runs, and its address. */
interface Running {
  readonly program: Program;
  readonly url: string;
  readonly port: number;
}

/** Starts an example at any free port. Resolves once it listens. */
async function start(name: string, env: NodeJS.ProcessEnv = {}, ...args: string[]): Promise<Running> {
  const program = Program.file(`examples/${name}`, { PORT: "0", ...env }, args, TIMEOUT_MS);
  const [url] = await program.line(/https?:\/\/(localhost|127\.0\.0\.1):\d+/, TIMEOUT_MS);
  return { program, url, port: Number(new URL(url).port) };
}

async function connect(port: number, path: string, headers: Record<string, string> = {}): Promise<RawClient> {
  const client = await RawClient.connect(port, { path, headers });
  onTestFinished(() => client.terminate());
  return client;
}

/** After a SIGTERM, the example closes the connections of the clients with 1001 and exits by itself. */
async function expectCleanExit({ program }: Running, ...clients: RawClient[]): Promise<void> {
  program.kill("SIGTERM");
  for (const client of clients) {
    while (client.closeFrame === undefined) await client.nextFrame();
    expect(client.closeFrame.payload.readUInt16BE(0)).toBe(1001);
    client.send(close(1001));
  }
  expect(await program.exited).toEqual({ code: 0, signal: null });
  expect(program.errors).toBe("");
}

test("cors.ts lets pages of the named origins read its responses and send requests with a preflight", async () => {
  const running = await start("cors.ts", { ORIGINS: "https://a.com,https://b.com" });
  const ask = async (origin: string, method: string, body?: string): Promise<[number, string | null]> => {
    const { status, headers } = await fetch(`${running.url}/notes`, {
      method,
      headers: { Origin: origin },
      body: body ?? null,
    });
    expect(headers.get("vary")).toBe("Origin");
    return [status, headers.get("access-control-allow-origin")];
  };
  for (const origin of ["https://a.com", "https://b.com"]) {
    expect(await ask(origin, "OPTIONS")).toEqual([204, origin]);
    expect(await ask(origin, "PUT", '"hello"')).toEqual([200, origin]);
    expect(await ask(origin, "PUT", "42")).toEqual([400, origin]);
    expect(await ask(origin, "GET")).toEqual([200, origin]);
  }
  for (const method of ["OPTIONS", "GET"]) expect((await ask("https://c.com", method))[1]).toBe(null);
  await expectCleanExit(running);
});

test("auth-by-cookie.ts accepts users who have signed in, and closes their sockets when they sign out", async () => {
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
  await expectCleanExit(running);
});

test("express.ts has the routes of Express and WebSockets on one port", async () => {
  const running = await start("express.ts");
  const { url, port } = running;
  expect(await (await fetch(url)).text()).toContain("Beside Express");
  const clients = [await connect(port, "/news"), await connect(port, "/news")];
  for (const client of clients) expect(await client.nextMessage()).toBe("You will hear what is new here.");
  const headers = { "Content-Type": "text/plain", Connection: "close" };
  const told = await fetch(`${url}/news`, { method: "POST", headers, body: "It works" });
  expect(await told.json()).toEqual({ told: 2 });
  for (const client of clients) expect(await client.nextMessage()).toBe("It works");
  await expectCleanExit(running, ...clients);
});

test("rooms.ts sends a message to everyone in its room, and to nobody else", async () => {
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
  await expectCleanExit(running, ada, eve);
});

test("typed.ts takes what fits its schemas, tells everyone, and says what is wrong with the rest", async () => {
  const running = await start("typed.ts");
  const { url, port } = running;
  const [ada, bob] = [await connect(port, "/tasks"), await connect(port, "/tasks")];
  for (const client of [ada, bob]) expect(await client.nextMessage()).toBe('{"tasks":[]}');
  ada.send(text('{"type":"add","text":"Buy tea"}'), text('{"type":"add","text":"Drink it"}'));
  const [tea, drink] = [{ id: 1, text: "Buy tea" }, { id: 2, text: "Drink it" }];
  for (const tasks of [[tea], [tea, drink]]) {
    for (const client of [ada, bob]) expect(await client.nextMessage()).toBe(JSON.stringify({ tasks }));
  }
  bob.send(text('{"type":"add","text":""}'), text("Buy tea"), text('{"type":"done","id":1}'));
  expect(JSON.parse(String(await bob.nextMessage())).wrong).toHaveLength(1);
  expect(await bob.nextMessage()).toBe('{"wrong":["The message is not JSON"]}');
  for (const client of [ada, bob]) expect(await client.nextMessage()).toBe(JSON.stringify({ tasks: [drink] }));
  expect(await (await fetch(url)).text()).toContain("<title>Tasks</title>");
  await expectCleanExit(running, ada, bob);
});

test("tls.ts speaks https and wss with a given certificate", async () => {
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
  await expectCleanExit(running);
});

test("tls.ts makes a certificate when none is given", async () => {
  const running = await start("tls.ts");
  const request = startRequest(running.url, { rejectUnauthorized: false, agent: false }).end();
  const [response] = await once(request, "response");
  expect(response.statusCode).toBe(200);
  expect(await textOf(response)).toBe("This page came over https.\n");
  await expectCleanExit(running);
});

/** A span, as opentelemetry.ts gives it. */
interface TracedSpan {
  readonly name: string;
  readonly id: string;
  readonly traceId: string;
  readonly parent?: string;
  readonly links: readonly string[];
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly status: string;
  readonly errors: readonly string[];
  readonly durationMs: number;
}

test("opentelemetry.ts makes spans of handshakes, connections and messages, which go on with the client's trace", async () => {
  const running = await start("opentelemetry.ts");
  const { port } = running;
  const [traceId, parent] = ["4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"];
  const client = await connect(port, "/echo", { traceparent: `00-${traceId}-${parent}-01` });
  const spansOf = async (name: string): Promise<TracedSpan[]> => {
    const response = await fetch(`http://127.0.0.1:${port}/spans`, { headers: { Connection: "close" } });
    return (await response.json() as TracedSpan[]).filter((span) => span.name === name);
  };
  client.send(text("one"), text("\u4f60"));
  expect([await client.nextMessage(), await client.nextMessage()]).toEqual(["one", "\u4f60"]);
  client.send(text("fail"));
  while (client.closeFrame === undefined) await client.nextFrame();
  client.send(close(1011));
  await client.closed();
  expect(statusOf(await rawRequest(port, upgradeRequest("/nowhere")))).toBe(404);

  await expect.poll(() => spansOf("websocket connection")).toHaveLength(1);
  const [connection] = await spansOf("websocket connection");
  expect(connection).toMatchObject({
    traceId,
    parent,
    attributes: { "http.route": "/echo", "websocket.close_code": 1011 },
    status: "ERROR",
    errors: ["Nobody wants to hear that"],
  });
  const [accepted, refused] = await spansOf("websocket handshake");
  const answered = { "http.route": "/echo", "http.response.status_code": 101 };
  expect(accepted).toMatchObject({ traceId, parent, attributes: answered, status: "UNSET" });
  expect(refused).toMatchObject({
    attributes: { "http.response.status_code": 404 },
    status: "ERROR",
    errors: ["There is no WebSocket at this path"],
  });
  expect([refused.parent, refused.traceId === traceId]).toEqual([undefined, false]);

  const messages = await spansOf("websocket message");
  expect(messages.map(({ attributes }) => attributes["messaging.message.body.size"])).toEqual([3, 3, 4]);
  expect(messages.map(({ status }) => status)).toEqual(["UNSET", "UNSET", "ERROR"]);
  expect(messages.map(({ links }) => links)).toEqual(Array(3).fill([connection.id]));
  // Each message has a trace of its own, to which its work belongs.
  expect(new Set([traceId, ...messages.map((message) => message.traceId)]).size).toBe(4);
  const works = await spansOf("work");
  expect(works.map((work) => [work.traceId, work.parent])).toEqual(
    messages.slice(0, 2).map((message) => [message.traceId, message.id]),
  );
  for (const [i, work] of works.entries()) expect(messages[i].durationMs).toBeGreaterThanOrEqual(work.durationMs);
  running.program.kill("SIGTERM");
  expect(await running.program.exited).toEqual({ code: 0, signal: null });
  expect(running.program.errors).toMatch(/has thrown.*: Error: Nobody wants to hear that\n/);
});

test("testing.ts tests its handlers and exits by itself", async () => {
  const program = Program.file("examples/testing.ts");
  expect(await program.exited).toEqual({ code: 0, signal: null });
  expect(program.lines).toEqual([
    "ok: the handler sends the time",
    "ok: the handler closes the socket of a client that asks for something else",
    "ok: the handshake agrees on the subprotocol",
    "ok: a refused handshake is an error that has the response",
    "ok: the controller returns the time",
  ]);
});

/** What a client of resume.ts gets: a message of a room, or the notice in front of the first one. */
interface Heard {
  readonly topic: string;
  readonly id: string;
  readonly data?: string;
  readonly recovered?: boolean;
}

async function hears(client: RawClient): Promise<Heard> {
  return JSON.parse(String(await client.nextMessage()));
}

/** Reads the notice of a client that has come with `since`. */
async function comeBack(port: number, since: string, room = "tea"): Promise<[RawClient, Heard]> {
  const client = await connect(port, `/rooms/${room}?since=${since}`);
  return [client, await hears(client)];
}

async function texts(client: RawClient, count: number): Promise<(string | undefined)[]> {
  const received: (string | undefined)[] = [];
  while (received.length < count) received.push((await hears(client)).data);
  return received;
}

function numbered(from: number, to: number): string[] {
  return Array.from({ length: to - from }, (_, i) => `message ${from + i}`);
}

function say(client: RawClient, messages: readonly string[]): void {
  client.send(...messages.map((each) => text(each)));
}

test("resume.ts sends a client the messages that it has missed, or tells it that they are gone", async () => {
  const running = await start("resume.ts");
  const { url, port } = running;
  expect(await (await fetch(url)).text()).toContain("<title>Resume</title>");
  const load = async (): Promise<{ texts: string[]; id: string }> => await (await fetch(`${url}/rooms/tea`)).json();
  const { texts: none, id: beginning } = await load();
  expect(none).toEqual([]);

  const [ada, here] = await comeBack(port, beginning);
  expect(here).toEqual({ topic: "room/tea", id: beginning, recovered: true });
  const [bob] = await comeBack(port, beginning);
  const [eve] = await comeBack(port, beginning, "coffee");
  say(ada, ["message 0"]);
  expect(await texts(bob, 1)).toEqual(["message 0"]);
  const { id } = await hears(ada);
  // Ada is away for the next messages.
  ada.reset();
  say(bob, numbered(1, 250));
  expect(await texts(bob, 249)).toEqual(numbered(1, 250));
  const [ben, notice] = await comeBack(port, id);
  expect(notice).toEqual({ topic: "room/tea", id, recovered: true });
  expect(await texts(ben, 249)).toEqual(numbered(1, 250));
  say(ben, ["message 250"]);
  for (const client of [bob, ben]) expect(await texts(client, 1)).toEqual(["message 250"]);
  say(eve, ["Coffee only"]);
  expect(await texts(eve, 1)).toEqual(["Coffee only"]);

  // More messages than a client is given at once. It loads the newest ones, and follows from there.
  say(bob, numbered(251, 310));
  await texts(ben, 59);
  const [cid, gone] = await comeBack(port, id);
  expect(gone.recovered).toBe(false);
  cid.reset();
  const newest = await load();
  expect(newest.texts).toEqual(numbered(260, 310));
  const [dan, again] = await comeBack(port, newest.id);
  expect(again).toEqual({ topic: "room/tea", id: newest.id, recovered: true });
  say(bob, ["message 310"]);
  expect(await texts(dan, 1)).toEqual(["message 310"]);
  const [stranger, refused] = await comeBack(port, "x");
  expect(refused.recovered).toBe(false);
  expect(statusOf(await rawRequest(port, upgradeRequest(`/rooms/${"x".repeat(600)}`)))).toBe(404);
  for (const client of [bob, ben, eve, stranger]) client.reset();
  await expectCleanExit(running, dan);
});

describe.each<{ kind: ServerKind; scheme: string }>([
  { kind: redisServer, scheme: "redis" },
  { kind: natsServer, scheme: "nats" },
])("with $kind.name,", { timeout: TIMEOUT_MS }, ({ kind, scheme }) => {
  const startServer = async (): Promise<string> => {
    const server = await (await ServerProgram.create(kind)).start();
    onTestFinished(() => server.dispose());
    return `${scheme}://127.0.0.1:${server.port}`;
  };

  test.skipIf(!isInstalled(kind))("cluster.ts joins its processes and replaces a process that dies", async () => {
    const address = await startServer();
    const running = await start("cluster.ts", { PROCESSES: "3" }, address);
    const { program, url, port } = running;
    expect(program.lines).toContain(`3 processes at ${url}, joined by ${address}`);
    expect(await (await fetch(url)).text()).toContain("<title>A cluster</title>");

    // The operating system chooses the process that accepts a connection.
    const enter = async (): Promise<[client: RawClient, pid: number]> => {
      const client = await connect(port, "/rooms/tea");
      const greeting = String(await client.nextMessage());
      return [client, Number(/^You are served by process (\d+)$/.exec(greeting)![1])];
    };
    const processOf = new Map<RawClient, number>();
    while (new Set(processOf.values()).size < 3) processOf.set(...await enter());
    const present = async (): Promise<number[]> => {
      const response = await fetch(`${url}/rooms/tea`, { headers: { Connection: "close" } });
      return (await response.json()).sort();
    };
    await expect.poll(present, { timeout: 10_000 }).toEqual([...processOf.values()].sort());

    const [[speaker, victim]] = processOf;
    speaker.send(text("hello"));
    for (const client of processOf.keys()) expect(await client.nextMessage()).toBe(`${victim}: hello`);

    process.kill(victim, "SIGKILL");
    const survivors = [...processOf].filter(([, pid]) => pid !== victim);
    const old = new Set(processOf.values());
    let [newcomer, pid] = survivors[0];
    while (old.has(pid)) {
      if (newcomer !== survivors[0][0]) newcomer.terminate();
      // A handshake that waits in a process which is killed fails.
      [newcomer, pid] = await enter().catch(() => survivors[0]);
    }
    // The newcomer repeats its message until it has reached every client.
    const reached = Promise.all(survivors.map(async ([client]) => {
      while (await client.nextMessage() !== `${pid}: I am new`);
    }));
    const saying = setInterval(() => newcomer.send(text("I am new")), 50);
    onTestFinished(() => clearInterval(saying));
    await reached;
    clearInterval(saying);
    await expectCleanExit(running, newcomer, ...survivors.map(([client]) => client));
  });

  test.skipIf(!isInstalled(kind))(
    "resume.ts sends a client what it has missed, from any process and after a restart",
    async () => {
      const address = await startServer();
      const [first, second] = [await start("resume.ts", {}, address), await start("resume.ts", {}, address)];
      // The process listens before its link to the server is up, and answers with 500 until then.
      const response = await vi.waitFor(async () => {
        const response = await fetch(`${first.url}/rooms/tea`, { headers: { Connection: "close" } });
        expect(response.status).toBe(200);
        return response;
      }, { timeout: TIMEOUT_MS });
      const { id: beginning } = await response.json();
      const [ada] = await comeBack(first.port, beginning);
      const [bob] = await comeBack(second.port, beginning);
      say(ada, ["message 0"]);
      expect(await texts(bob, 1)).toEqual(["message 0"]);
      const { id } = await hears(ada);

      // The process dies, and its client comes back to the other one.
      await first.program.end();
      say(bob, numbered(1, 100));
      expect(await texts(bob, 99)).toEqual(numbered(1, 100));
      const [cid, notice] = await comeBack(second.port, id);
      expect(notice).toEqual({ topic: "room/tea", id, recovered: true });
      expect(await texts(cid, 99)).toEqual(numbered(1, 100));
      await expectCleanExit(second, bob, cid);

      const third = await start("resume.ts", {}, address);
      const [dan] = await comeBack(third.port, id);
      expect(await texts(dan, 99)).toEqual(numbered(1, 100));
      say(dan, ["message 100"]);
      expect(await texts(dan, 1)).toEqual(["message 100"]);
      await expectCleanExit(third, dan);
    },
  );
});

test("dashboard/demo.ts shows its figures every second, and only to this machine", async () => {
  const running = await start("dashboard/demo.ts");
  const { url, port } = running;
  const page = await fetch(`${url}/dashboard`);
  expect([page.url, page.status]).toEqual([`${url}/dashboard/`, 200]);
  expect(page.headers.get("content-security-policy")).toMatch(/^default-src 'none'; script-src 'self';/);
  const html = await page.text();
  expect(html).toContain("<h1>Dashboard</h1>");
  // Every file that the page names is there, and every module that these files import.
  const names = new Set([...html.matchAll(/ (?:src|href)="([^"]+)"/g)].map(([, name]) => name));
  expect(names).toContain("uplot.js");
  for (const name of names) {
    const response = await fetch(`${url}/dashboard/${name}`);
    expect([name, response.status]).toEqual([name, 200]);
    for (const [, other] of (await response.text()).matchAll(/^import .* from "\.\/([^"]+)";$/gm)) names.add(other);
  }
  expect(names).toContain("units.js");

  const live = "/dashboard/live";
  const client = await connect(port, live, { Origin: url, Host: new URL(url).host });
  const next = async (): Promise<Report> => JSON.parse(String(await client.nextMessage()));
  expect((await next()).process!.name).toMatch(/^(Node|Deno|Bun) \d+\.\d+\.\d+ on .+, process \d+$/);
  const [first, second] = [await next(), await next()];
  expect([first.process, first.samples.length, second.samples.length]).toEqual([undefined, 1, 1]);
  expect(second.samples[0].at - first.samples[0].at).toBeGreaterThan(500);
  expect(second.samples[0].connections).toBeGreaterThan(1);
  expect(second.samples[0].receivedPerSecond).toBeGreaterThan(0);
  expect(second.routes.find(({ path }) => path === live)!.connections).toBe(1);

  const statusWith = async (headers: Record<string, string>): Promise<number> =>
    statusOf(await rawRequest(port, upgradeRequest(live, headers)));
  expect(await statusWith({ Origin: "https://evil.com" })).toBe(403);
  expect(await statusWith({ Host: "evil.com", Origin: "http://evil.com" })).toBe(403);
  const stolen = await rawRequest(port, "GET /dashboard/ HTTP/1.1\r\nHost: evil.com\r\nConnection: close\r\n\r\n");
  expect(statusOf(stolen)).toBe(403);
  await expectCleanExit(running, client);
});

test("each example says how it is started, and has a test here", async () => {
  const thisFile = await readFile(import.meta.filename, "utf8");
  const names = (await readdir(folder)).filter((name) => name.endsWith(".ts"));
  expect(names.length).toBeGreaterThan(0);
  for (const name of names) {
    expect(await readFile(join(folder, name), "utf8")).toContain(`    node examples/${name} `);
    expect(thisFile).toMatch(new RegExp(`(start\\("|Program\\.file\\("examples/)${name}"`));
  }
});
