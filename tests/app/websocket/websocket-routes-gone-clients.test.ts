/**
 * Clients that go away, and connections to which somebody else has responded, before the app responds to the handshake:
 * on every way in, such a handshake is not accepted, no handler runs, and nothing of the client is kept.
 */

import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { type AddressInfo, connect as connectTcp, type Socket as RawSocket } from "node:net";
import type { Duplex } from "node:stream";
import { text as textOf } from "node:stream/consumers";
import { connect as connectTls } from "node:tls";
import { describe, expect, onTestFinished, test } from "vitest";
import { type App, createApp, HttpError, type RouteOptions } from "../../../mod.ts";
import { until } from "../../support/app.ts";
import { certificate } from "../../support/certificate.ts";
import { text } from "../../support/frames.ts";
import { statusOf, upgradeRequest } from "../../support/raw-client.ts";

/** A client over TCP or TLS that can go away in every way. */
interface Client {
  /** The stream that the server reads from. */
  readonly stream: Duplex;
  /** The TCP connection below that stream. */
  readonly tcp: RawSocket;
}

async function connect(port: number, isSecure: boolean): Promise<Client> {
  const tcp = connectTcp({ port, host: "127.0.0.1", allowHalfOpen: true });
  tcp.on("error", () => {});
  onTestFinished(() => void tcp.destroy());
  if (!isSecure) return { stream: tcp, tcp };
  const stream = connectTls({ socket: tcp, servername: "localhost", ca: certificate().cert });
  stream.on("error", () => {});
  onTestFinished(() => void stream.destroy());
  await once(stream, "secureConnect");
  return { stream, tcp };
}

const departures: readonly [string, (client: Client) => void][] = [
  ["resets", ({ tcp }) => void tcp.resetAndDestroy()],
  ["ends its side", ({ stream }) => void stream.end()],
  ["destroys its socket", ({ stream }) => void stream.destroy()],
  ["sends a message and ends its side", ({ stream }) => void stream.end(text("hello"))],
];

/** Tells whether a server can know by now that the client has gone. */
function hasGone(raw: RawSocket): boolean {
  return raw.destroyed || raw.readableEnded ||
    (raw as unknown as { _readableState: { ended: boolean } })._readableState.ended;
}

interface Door {
  readonly app: App;
  readonly port: number;
  /** The number of times that the handler has run. */
  readonly opened: () => number;
  /** The connection of the first handshake, if the server is not the app's own. */
  readonly arrived?: Promise<RawSocket>;
}

type WayIn = (options: RouteOptions<object, unknown>, isSecure: boolean, services?: object) => Promise<Door>;

async function makeApp(
  options: RouteOptions<object, unknown>,
  isSecure: boolean,
  services: object,
): Promise<Omit<Door, "port">> {
  let opened = 0;
  const app = await createApp({ logger: false, heartbeat: false, services, ...(isSecure && { tls: certificate() }) });
  onTestFinished(async () => void await app.close({ timeoutMs: 500 }));
  app.ws("/", options, () => void opened++);
  return { app, opened: () => opened };
}

interface Served {
  readonly port: number;
  readonly arrived: Promise<RawSocket>;
}

async function serve(isSecure: boolean, setUp: (server: Server) => void): Promise<Served> {
  const arrived = Promise.withResolvers<RawSocket>();
  const server = isSecure ? createTlsServer(certificate()) : createServer();
  setUp(server);
  server.on("upgrade", (_request, raw) => arrived.resolve(raw as RawSocket));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  return { port: (server.address() as AddressInfo).port, arrived: arrived.promise };
}

const listen: WayIn = async (options, isSecure, services = {}) => {
  const door = await makeApp(options, isSecure, services);
  await door.app.listen({ port: 0, host: "127.0.0.1" });
  return { ...door, port: door.app.address!.port };
};

const attach: WayIn = async (options, isSecure, services = {}) => {
  const door = await makeApp(options, false, services);
  return { ...door, ...await serve(isSecure, (server) => void door.app.attach(server)) };
};

const handleUpgrade: WayIn = async (options, isSecure, services = {}) => {
  const door = await makeApp(options, false, services);
  const served = await serve(isSecure, (server) => {
    server.on("upgrade", (request, raw, head) => door.app.handleUpgrade(request, raw as RawSocket, head));
  });
  return { ...door, ...served };
};

const waysIn: readonly [string, WayIn][] = [["listen", listen], ["attach", attach], ["handleUpgrade", handleUpgrade]];
const wires: readonly [string, boolean][] = [["TCP", false], ["TLS", true]];
const everyWay = waysIn.flatMap(([way, open]) =>
  wires.flatMap(([wire, isSecure]) => departures.map(([deed, depart]) => ({ way, wire, deed, open, isSecure, depart })))
);

/** Expects that nothing of the client is left, and that the app closes at once. */
async function expectNothingKept({ app, opened }: Door, raw: RawSocket): Promise<void> {
  await until(() => raw.destroyed);
  expect(opened()).toBe(0);
  expect(app.sockets.size).toBe(0);
  expect(app.stats()).toMatchObject({ connections: 0, accepted: 0 });
  expect(await app.close({ timeoutMs: 10_000 })).toEqual({ closed: 0, terminated: 0 });
}

describe("a client that goes away while the upgrade hook decides is not accepted", () => {
  const verdicts: readonly [string, () => void][] = [
    ["lets the client in", () => {}],
    ["refuses the client", () => {
      throw new HttpError(401, "Please log in");
    }],
  ];
  const cases = everyWay.flatMap((each) => verdicts.map(([verdict, decide]) => ({ ...each, verdict, decide })));

  test.each(cases)("$way, $wire: it $deed, and the hook $verdict", async ({ open, isSecure, depart, decide }) => {
    const asked = Promise.withResolvers<RawSocket>();
    const thought = Promise.withResolvers<void>();
    const upgrade = async (request: IncomingMessage): Promise<void> => {
      asked.resolve(request.socket);
      await thought.promise;
      decide();
    };
    const door = await open({ upgrade }, isSecure);
    const client = await connect(door.port, isSecure);
    client.stream.write(upgradeRequest());
    const raw = await asked.promise;
    depart(client);
    await until(() => hasGone(raw));
    thought.resolve();
    await expectNothingKept(door, raw);
  });
});

describe("a client that goes away while the services are made is not accepted", () => {
  test.each(everyWay.filter(({ way }) => way !== "listen"))(
    "$way, $wire: it $deed",
    async ({ open, isSecure, depart }) => {
      const begun = Promise.withResolvers<void>();
      const database = Promise.withResolvers<object>();
      const services = {
        database: () => {
          begun.resolve();
          return database.promise;
        },
      };
      const door = await open({}, isSecure, services);
      const client = await connect(door.port, isSecure);
      client.stream.write(upgradeRequest());
      await begun.promise;
      const raw = await door.arrived!;
      depart(client);
      await until(() => hasGone(raw));
      database.resolve({});
      await expectNothingKept(door, raw);
    },
  );
});

describe("a client that goes away while the user awaits something before handleUpgrade is not accepted", () => {
  test.each(everyWay.filter(({ way }) => way === "handleUpgrade"))(
    "$wire: it $deed",
    async ({ isSecure, depart }) => {
      const arrived = Promise.withResolvers<RawSocket>();
      const awaited = Promise.withResolvers<void>();
      const door = await makeApp({}, false, {});
      const { port } = await serve(isSecure, (server) => {
        server.on("upgrade", async (request, raw, head) => {
          raw.on("error", () => {});
          arrived.resolve(raw as RawSocket);
          await awaited.promise;
          door.app.handleUpgrade(request, raw as RawSocket, head);
        });
      });
      const client = await connect(port, isSecure);
      client.stream.write(upgradeRequest());
      const raw = await arrived.promise;
      depart(client);
      await until(() => hasGone(raw));
      awaited.resolve();
      await expectNothingKept({ ...door, port }, raw);
    },
  );
});

describe("a handshake to which another upgrade listener responds gets no second response", () => {
  const REFUSAL = "HTTP/1.1 401 Unauthorized\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
  const responders: readonly [string, (raw: Duplex) => void][] = [
    ["ends the connection with a 401", (raw) => void raw.end(REFUSAL)],
    ["writes a 401 and destroys the socket later", (raw) => void raw.write(REFUSAL, () => raw.destroy())],
    ["writes a 401 and nothing else", (raw) => void raw.write(REFUSAL)],
  ];
  const moments: readonly ("before the app" | "after the app" | "while the hook decides")[] = [
    "before the app",
    "after the app",
    "while the hook decides",
  ];
  const cases = wires.flatMap(([wire, isSecure]) =>
    responders.flatMap(([deed, respond]) => moments.map((moment) => ({ wire, isSecure, deed, respond, moment })))
  );

  test.each(cases)("$wire, a listener that comes $moment $deed", async ({ isSecure, respond, moment }) => {
    const verdict = Promise.withResolvers<void>();
    const asked = Promise.withResolvers<void>();
    const upgrade = async (): Promise<void> => {
      asked.resolve();
      await verdict.promise;
    };
    const door = await makeApp({ upgrade }, false, {});
    const arrived = Promise.withResolvers<RawSocket>();
    const other = async (_request: IncomingMessage, raw: Duplex): Promise<void> => {
      raw.on("error", () => {});
      arrived.resolve(raw as RawSocket);
      if (moment === "while the hook decides") await asked.promise;
      respond(raw);
    };
    const { port } = await serve(isSecure, (server) => {
      if (moment === "before the app") server.on("upgrade", other);
      door.app.attach(server);
      if (moment !== "before the app") server.on("upgrade", other);
    });
    const client = await connect(port, isSecure);
    client.stream.write(upgradeRequest());
    const raw = await arrived.promise;
    const received = textOf(client.stream);
    const [first] = await once(client.stream, "data") as [Buffer];
    verdict.resolve();
    expect(await door.app.close({ timeoutMs: 10_000 })).toEqual({ closed: 0, terminated: 0 });
    raw.destroySoon();
    expect(statusOf(first.toString())).toBe(401);
    expect(await received).toBe(REFUSAL);
    expect(door.opened()).toBe(0);
    expect(door.app.stats()).toMatchObject({ connections: 0, accepted: 0, refused: 0 });
  });

  test.each(wires)(
    "%s: a connection that another listener keeps has no deadline of the app",
    async (_wire, isSecure) => {
      const app = await createApp({ logger: false, handshakeTimeoutMs: 100 });
      onTestFinished(async () => void await app.close({ timeoutMs: 500 }));
      app.ws("/", { upgrade: () => new Promise(() => {}) }, () => {});
      const arrived: RawSocket[] = [];
      const { port } = await serve(isSecure, (server) => {
        app.attach(server);
        server.on("upgrade", (_request, raw) => {
          arrived.push(raw as RawSocket);
          if (arrived.length === 1) raw.write("theirs\n");
        });
      });
      const first = await connect(port, isSecure);
      let received = "";
      first.stream.on("data", (bytes) => received += bytes);
      first.stream.write(upgradeRequest());
      await until(() => received === "theirs\n");
      // The deadline of a second connection, to which nobody responds, is later than that of the first.
      const second = await connect(port, isSecure);
      second.stream.write(upgradeRequest());
      expect(statusOf(await textOf(second.stream))).toBe(408);
      arrived[0].write("still theirs\n");
      await until(() => received.endsWith("still theirs\n"));
      expect(received).toBe("theirs\nstill theirs\n");
      arrived[0].destroy();
    },
  );
});

describe("a handshake behind a request that has no complete response is cut", () => {
  const hooks: [hook: string, options: RouteOptions<object, unknown>][] = [
    ["a hook that thinks", { upgrade: () => new Promise<void>(() => {}) }],
    ["no hook", {}],
  ];
  test.each(
    wires.flatMap(([wire, isSecure]) => hooks.map(([hook, options]) => [wire, hook, isSecure, options] as const)),
  )(
    "%s, %s: neither response is taken for the other, and the 101 does not overtake the first",
    async (_wire, _hook, isSecure, options) => {
      const door = await makeApp(options, false, {});
      const responses: ServerResponse[] = [];
      // Bun gives the handshake to the `request` listener, as RFC 9110 §7.8 allows.
      const handshake = Promise.withResolvers<void>();
      const { port, arrived } = await serve(isSecure, (server) => {
        server.on("request", (_request, response) => {
          responses.push(response);
          if (responses.length > 1) handshake.resolve();
        });
        door.app.attach(server);
      });
      const client = await connect(port, isSecure);
      client.stream.write(`GET /late HTTP/1.1\r\nHost: a\r\n\r\n${upgradeRequest()}`);
      await Promise.race([arrived, handshake.promise]);
      responses[1]?.setHeader("Connection", "close");
      for (const response of responses) response.end("late");
      client.stream.resume();
      await new Promise((resolve) => client.stream.once("end", resolve).once("close", resolve));
      expect(door.opened()).toBe(0);
      expect(door.app.stats()).toMatchObject({ connections: 0, accepted: 0, refused: 0 });
    },
  );
});
