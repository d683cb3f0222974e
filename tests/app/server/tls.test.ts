/**
 * Apps over TLS, with a certificate that is made for the test: wss, https, deadlines before and after the TLS
 * handshake, and wrong options.
 */

import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { request as startRequest } from "node:https";
import { connect as connectTcp, type Socket as RawSocket } from "node:net";
import { text as textOf } from "node:stream/consumers";
import { setImmediate as nextTurn, setTimeout as delay } from "node:timers/promises";
import { connect as connectTls } from "node:tls";
import { describe, expect, onTestFinished, test } from "vitest";
import { type App, type AppOptions, createApp, type Socket, type TlsRenewal } from "../../../mod.ts";
import { eventOf, listeningApp, portOf } from "../../support/app.ts";
import { certificate, connectSecurely, makeCertificate } from "../../support/certificate.ts";
import { binary, close, ping, text } from "../../support/frames.ts";
import { meteredProxy } from "../../support/metered-proxy.ts";
import { flood, readToEnd, StreamClient, untilStill } from "../../support/stream-client.ts";

const MiB = 1024 * 1024;

function secureApp(options: AppOptions, addRoutes: (app: App) => unknown): Promise<App> {
  return listeningApp({ tls: certificate(), ...options }, addRoutes);
}

const echo = (socket: Socket): void => void socket.on("message", (data) => socket.send(data));

async function connect(app: App): Promise<StreamClient> {
  return await StreamClient.connect(connectSecurely(portOf(app)));
}

function connectSilently(app: App): RawSocket {
  const client = connectTcp({ port: portOf(app), host: "127.0.0.1", allowHalfOpen: true });
  client.on("error", () => {});
  onTestFinished(() => void client.destroy());
  return client;
}

interface Reply {
  readonly status: number | undefined;
  readonly body: string;
}

async function ask(app: App, path: string, method: string = "GET", body?: string): Promise<Reply> {
  const { cert: ca } = certificate();
  const request = startRequest({
    host: "127.0.0.1",
    port: portOf(app),
    path,
    method,
    ca,
    servername: "localhost",
    agent: false,
  });
  request.end(body);
  const [response] = await once(request, "response");
  return { status: response.statusCode, body: await textOf(response) };
}

describe("wss", () => {
  test("echoes texts and bytes, small and large, and closes cleanly", async () => {
    const app = await secureApp({}, (app) => app.ws("/", echo));
    const closed = Promise.withResolvers<unknown>();
    const client = await connect(app);
    for (const socket of app.sockets) socket.once("close", (...args) => closed.resolve(args));
    client.send(text("grüße 🌍"), binary(Buffer.from([0, 255])), text("x".repeat(900_000)));
    expect(await client.nextMessage()).toBe("grüße 🌍");
    expect(await client.nextMessage()).toEqual(Buffer.from([0, 255]));
    expect(await client.nextMessage()).toBe("x".repeat(900_000));
    client.send(close(1000, "done"));
    expect(await client.closed()).toEqual({ code: 1000, reason: "done" });
    expect(await closed.promise).toEqual([1000, "done", true]);
  });

  test("sends messages of all sizes on in order, a few a turn, behind a client that reads late", async () => {
    const app = await secureApp({}, (app) => app.ws("/", echo));
    const client = await connect(app);
    client.stream.pause();
    const messages = Array.from(
      { length: 3_000 },
      (_, i) => `${i} ${"abcdefg".repeat(i % 100 === 0 ? 3_000 + i : i % 50)}`,
    );
    for (const message of messages) {
      client.send(text(message));
      await nextTurn();
    }
    client.stream.resume();
    for (const message of messages) expect(await client.nextMessage()).toBe(message);
    client.send(close(1000));
    expect((await client.closed()).code).toBe(1000);
  });

  test("cuts a client that reads nothing: after its end when closeTimeoutMs is up, and by the heartbeat though it sends Pings", async () => {
    const arrived: Socket[] = [];
    const app = await secureApp(
      { closeTimeoutMs: 150, heartbeat: { intervalMs: 200, timeoutMs: 300 }, maxBufferedBytes: 100 * MiB },
      (app) => app.ws("/", (socket) => void arrived.push(socket)),
    );
    // A paused TLS client may still read.
    const proxy = await meteredProxy(portOf(app));
    onTestFinished(() => proxy.close());
    const ending = await StreamClient.connect(connectSecurely(proxy.port));
    const pinging = await StreamClient.connect(connectSecurely(proxy.port));
    const closed = arrived.map((socket) => eventOf(socket, "close"));
    proxy.stopReading();
    for (const socket of arrived) for (let i = 0; i < 32; i++) socket.send(Buffer.alloc(MiB));
    ending.stream.end();
    const endMs = performance.now() + 8_000;
    while (app.sockets.size > 0 && performance.now() < endMs) {
      pinging.send(ping("ping"));
      await nextTurn();
    }
    expect(app.sockets.size).toBe(0);
    expect(await Promise.all(closed)).toEqual(Array(2).fill([1006, "", false]));
  });

  test("sends large texts on whole, behind a client that reads late", async () => {
    const app = await secureApp({}, (app) => app.ws("/", echo));
    const client = await connect(app);
    client.stream.pause();
    const messages = Array.from({ length: 60 }, (_, i) => `${i} ${"abcdefg".repeat(3_000 + 1_000 * i)}`);
    for (const message of messages) {
      client.send(text(message));
      await nextTurn();
    }
    client.stream.resume();
    for (const message of messages) expect(await client.nextMessage()).toBe(message);
  });

  test("shares its port with https: controllers respond, and url and ip are right", async () => {
    const app = await secureApp({}, (app) =>
      app
        .ws("/chat", echo)
        .get("/", ({ ip }) => `hello, ${ip}`)
        .post("/", (req) => req.json()));
    expect(app.url).toBe(`https://127.0.0.1:${portOf(app)}`);
    expect(await ask(app, "/")).toEqual({ status: 200, body: "hello, 127.0.0.1" });
    expect(await ask(app, "/", "POST", '{"a":1}')).toEqual({ status: 200, body: '{"a":1}' });
    expect((await ask(app, "/chat")).status).toBe(426);
    expect((await ask(app, "/nowhere")).status).toBe(404);
  });

  test("closes with its app: 1001 behind all messages that were sent", async () => {
    const app = await secureApp({}, (app) => app.ws("/", () => {}));
    const client = await connect(app);
    for (const socket of app.sockets) socket.send("x".repeat(3 * MiB));
    const closing = app.close();
    expect((await client.nextMessage()).length).toBe(3 * MiB);
    client.send(close(1001));
    expect((await client.closed()).code).toBe(1001);
    expect(await closing).toEqual({ closed: 1, terminated: 0 });
  });

  test("emits close once, with 1006, for a peer that is cut", async () => {
    const app = await secureApp({}, (app) => app.ws("/", echo));
    const client = await connect(app);
    const [socket] = app.sockets;
    const closes: unknown[] = [];
    socket.on("close", (...args) => closes.push(args));
    const closed = eventOf(socket, "close");
    client.stream.destroy();
    await closed;
    await nextTurn();
    expect(closes).toEqual([[1006, "", false]]);
    expect(app.sockets.size).toBe(0);
  });

  test("emits drain for a producer that waits", async () => {
    const app = await secureApp({ maxBufferedBytes: 64 * MiB }, (app) => app.ws("/", () => {}));
    const client = await connect(app);
    const [socket] = app.sockets;
    client.stream.pause();
    let sent = 0;
    while (socket.send(Buffer.alloc(64 * 1024, sent)) || socket.bufferedAmount === 0) {
      sent++;
      await nextTurn();
    }
    sent++;
    expect(socket.bufferedAmount).toBeGreaterThan(0);
    const drained = socket.drained();
    client.stream.resume();
    await drained;
    expect(socket.bufferedAmount).toBe(0);
    for (let i = 0; i < sent; i++) expect((await client.nextMessage())[0], String(i)).toBe(i & 0xff);
  });
});

describe("handshakeTimeoutMs", () => {
  const OPTIONS = { handshakeTimeoutMs: 300 };

  test("applies to a TCP connection on which TLS never begins", async () => {
    const app = await secureApp(OPTIONS, (app) => app.get("/", () => "hello"));
    const startedAt = performance.now();
    // Nothing is sent: the client could not read a response that is not encrypted.
    expect(await readToEnd(connectSilently(app))).toBe("");
    const tookMs = performance.now() - startedAt;
    expect(tookMs).toBeGreaterThanOrEqual(290);
    expect(tookMs).toBeLessThan(3_000);
  });

  test("applies to a TLS handshake that never ends, even if a byte comes now and then", async () => {
    const app = await secureApp(OPTIONS, (app) => app.get("/", () => "hello"));
    const client = connectSilently(app);
    let isClosed = false;
    // `once` of node:events would reject when a byte meets the closed connection, and the client gets a reset.
    const closed = new Promise<boolean>((resolve) => client.once("close", () => resolve(isClosed = true)));
    client.resume().on("end", () => client.end());
    // The header of a ClientHello of 512 bytes, of which only a few are sent.
    client.write(Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03]));
    // The test itself runs out of time before 512 bytes are sent.
    for (let i = 0; !isClosed; i++) {
      await delay(50);
      if (!client.destroyed && client.writable) client.write(Buffer.from([i]));
    }
    expect(await closed).toBe(true);
  });

  test("applies to a TLS connection without a request, which gets 408", async () => {
    const app = await secureApp(OPTIONS, (app) => app.get("/", () => "hello"));
    const startedAt = performance.now();
    expect(await readToEnd(connectSecurely(portOf(app)))).toMatch(/^HTTP\/1\.1 408 /);
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(290);
  });

  test("does not apply to WebSockets, nor to requests while the server works on their responses", async () => {
    const app = await secureApp(OPTIONS, (app) =>
      app.ws("/", echo).get("/slow", async () => {
        // The deadline of a connection that came later has passed.
        await readToEnd(connectSilently(app));
        return "slow";
      }));
    const client = await connect(app);
    expect(await ask(app, "/slow")).toEqual({ status: 200, body: "slow" });
    client.send(text("still here"));
    expect(await client.nextMessage()).toBe("still here");
  });

  test.each([["TLS has not begun", connectSilently], ["TLS is there", (app: App) => connectSecurely(portOf(app))]])(
    "close does not wait for it when %s",
    async (_name, connectTo) => {
      const app = await secureApp({ handshakeTimeoutMs: 60_000 }, (app) => app.get("/", () => "hello"));
      const client = connectTo(app);
      await once(client, client.connecting ? "connect" : "secureConnect");
      await ask(app, "/");
      const closing = app.close({ timeoutMs: 100 }).then(() => "closed");
      expect(await Promise.race([closing, delay(3_000, "too late")])).toBe("closed");
    },
  );
});

test("bytes that are not TLS end their own connection and no other one", async () => {
  const app = await secureApp({}, (app) => app.ws("/", echo));
  const client = await connect(app);
  for (const garbage of ["GET / HTTP/1.1\r\nHost: a\r\n\r\n", "\0".repeat(500), "\x16\x03\x01\x00\x05hello"]) {
    const stranger = connectSilently(app);
    stranger.write(garbage, "latin1");
    expect(await readToEnd(stranger)).not.toContain("HTTP/1.1 200");
  }
  client.send(text("still here"));
  expect(await client.nextMessage()).toBe("still here");
});

test("a pause holds the peer back while 32 MiB come, also where maxBufferedBytes would let all of them in", async () => {
  const maxBufferedBytes = 64 * MiB;
  const app = await secureApp({ maxBufferedBytes }, (app) => app.ws("/", () => {}));
  const client = await connect(app);
  const [socket] = app.sockets;
  const closed = eventOf(socket, "close").then(([code]) => code);
  let messages = 0;
  socket.on("message", () => messages++);
  socket.pause();

  const frame = binary(Buffer.alloc(64 * 1024));
  const sending = flood(client.stream, 512, () => frame);
  await untilStill(() => sending.takenBytes);
  expect(sending.takenBytes).toBeLessThan(16 * MiB);
  expect(socket.readyState).toBe(socket.OPEN);
  socket.resume();
  await sending.done;
  client.send(close(1000));
  expect(await closed).toBe(1000);
  expect(messages).toBe(512);
});

describe("wrong tls options are an error that says what is wrong", () => {
  const { key, cert } = certificate();

  test.each<[string, unknown, RegExp]>([
    ["no object", 42, /tls must be an object such as \{ key, cert \}; got 42/],
    ["nothing in it", {}, /tls needs key and cert/],
    ["a key alone", { key }, /tls needs key and cert.*got key/],
    ["a certificate alone", { cert }, /tls needs key and cert.*got cert/],
    ["a misspelt name", { kye: key, cert }, /tls needs key and cert.*got kye, cert/],
    ["a certificate that is none", { key, cert: "garbage" }, /tls\.cert cannot be read/],
    ["a key that is none", { key: "garbage", cert }, /tls\.key cannot be read/],
    ["the two mixed up", { key: cert, cert: key }, /tls\.(cert|key) cannot be read/],
    ["numbers", { key: 5, cert: 5 }, /tls\.(cert|key)/],
  ])("%s", async (_name, tls, message) => {
    const attempt = createApp({ tls: tls as object });
    await expect(attempt).rejects.toThrow(TypeError);
    await expect(attempt).rejects.toThrow(message);
  });

  test("the key of another certificate", async () => {
    await expect(createApp({ tls: { key: makeCertificate().key, cert } })).rejects.toThrow(
      /tls\.key is not the key of tls\.cert/,
    );
  });
});

describe("renewTls", () => {
  /** The certificate that a new connection gets. */
  async function certificateOf(app: App): Promise<string> {
    const client = connectTls({ port: portOf(app), host: "127.0.0.1", rejectUnauthorized: false });
    onTestFinished(() => void client.destroy());
    await once(client, "secureConnect");
    return client.getPeerCertificate().fingerprint256;
  }

  const fingerprint = ({ cert }: { cert: string }): string => new X509Certificate(cert).fingerprint256;

  test("gives new connections the new certificate, and leaves open ones as they are", async () => {
    const app = await secureApp({}, (app) => app.ws("/", echo).get("/", () => "page"));
    const before = await connect(app);
    const renewal = makeCertificate();
    expect(app.renewTls(renewal)).toBe(app);
    expect(await certificateOf(app)).toBe(fingerprint(renewal));
    const after = await StreamClient.connect(connectSecurely(portOf(app), renewal.cert));
    for (const client of [before, after]) {
      client.send(text("still here"));
      expect(await client.nextMessage()).toBe("still here");
    }
    expect(app.sockets.size).toBe(2);
    app.renewTls(certificate());
    expect(await ask(app, "/")).toEqual({ status: 200, body: "page" });
  });

  test("may come before listen", async () => {
    const app = await createApp({ tls: certificate() });
    onTestFinished(async () => void await app.close());
    const renewal = makeCertificate();
    await app.renewTls(renewal).listen({ port: 0, host: "127.0.0.1" });
    expect(await certificateOf(app)).toBe(fingerprint(renewal));
  });

  test("keeps the other options of TLS", async () => {
    const app = await secureApp(
      { tls: { ...certificate(), ALPNProtocols: ["http/1.1"], maxVersion: "TLSv1.2" } },
      () => {},
    );
    app.renewTls(makeCertificate());
    const client = connectTls({
      port: portOf(app),
      host: "127.0.0.1",
      rejectUnauthorized: false,
      ALPNProtocols: ["http/1.1"],
    });
    onTestFinished(() => void client.destroy());
    await once(client, "secureConnect");
    expect([client.getProtocol(), client.alpnProtocol]).toEqual(["TLSv1.2", "http/1.1"]);
  });

  const other = makeCertificate();

  test.each<[string, unknown, RegExp]>([
    ["nothing", undefined, /renewTls takes an object such as \{ key, cert \}; got undefined/],
    ["a text", "cert.pem", /renewTls takes .*got "cert\.pem"/],
    [
      "an option that cannot change",
      { ...other, SNICallback() {} },
      /renewTls has no option "SNICallback"; it has key, /,
    ],
    ["a certificate without its key", { cert: other.cert }, /tls needs key and cert/],
    ["the key of another certificate", { ...other, key: certificate().key }, /tls\.key is not the key of tls\.cert/],
    ["a certificate that cannot be read", { ...other, cert: "none" }, /tls\.cert cannot be read/],
  ])("refuses %s, and the app goes on with its certificate", async (_name, renewal, message) => {
    const app = await secureApp({}, () => {});
    const attempt = (): unknown => app.renewTls(renewal as TlsRenewal);
    expect(attempt).toThrow(TypeError);
    expect(attempt).toThrow(message);
    expect(await certificateOf(app)).toBe(fingerprint(certificate()));
  });

  test("refuses an app without TLS, and one that has been closed", async () => {
    const plain = await listeningApp({}, () => {});
    expect(() => plain.renewTls(certificate())).toThrow(/no certificate to renew: createApp takes one as tls/);
    const closed = await secureApp({}, () => {});
    await closed.close();
    expect(() => closed.renewTls(certificate())).toThrow(/closed/);
  });
});
