// One connection keeps the server busy: every other connection still gets its turn, and no message of the busy one is
// lost.

import { once } from "node:events";
import { connect } from "node:net";
import type { Duplex } from "node:stream";
import { describe, expect, onTestFinished, test } from "vitest";
import type { AppOptions, Socket } from "../../mod.ts";
import { eventOf, listeningApp, portOf } from "../support/app.ts";
import { certificate, connectSecurely } from "../support/certificate.ts";
import { deflated } from "../support/deflate.ts";
import { binary, close, continuation, frame, opcodes, ping, ServerFrameReader, text } from "../support/frames.ts";
import { Program } from "../support/program.ts";
import { headerOf, statusOf, upgradeRequest } from "../support/raw-client.ts";

const KiB = 1024;

/** Connects over TCP or TLS and offers the given extensions. The frames that come back are left to the test. */
async function open(port: number, isTls: boolean, path: string, offer?: string): Promise<Duplex> {
  const stream = isTls ? connectSecurely(port) : connect({ port, host: "127.0.0.1", noDelay: true });
  stream.on("error", () => {});
  onTestFinished(() => void stream.destroy());
  stream.write(upgradeRequest(path, offer === undefined ? {} : { "Sec-WebSocket-Extensions": offer }));
  let head = "";
  while (!head.includes("\r\n\r\n")) head += (await once(stream, "data") as [Buffer])[0].toString("latin1");
  expect(statusOf(head)).toBe(101);
  if (offer !== undefined) expect(headerOf(head, "Sec-WebSocket-Extensions")).toContain("permessage-deflate");
  return stream;
}

const NO_TAKEOVER = "permessage-deflate; client_no_context_takeover; server_no_context_takeover";
const TAKEOVER = "permessage-deflate";
const compressed = (payload: Uint8Array): Buffer => frame(opcodes.text, payload, { rsv: 4 });
const fragments = [
  frame(opcodes.binary, "", { fin: false }),
  ...Array.from({ length: 998 }, () => continuation("", { fin: false })),
  continuation(),
];

interface Flood {
  readonly name: string;
  /** Bytes that are sent again and again. */
  readonly unit: Buffer;
  readonly options: AppOptions;
  readonly offer?: string;
  /** Fewer messages are read between two echoes of the other client. Without fair turns, they are many times more. */
  readonly most: number;
}

const floods: Flood[] = [
  { name: "messages of one byte", unit: text("x"), options: {}, most: 120_000 },
  { name: "Pings", unit: ping(), options: {}, most: 100_000 },
  { name: "empty fragments, a thousand in a message", unit: Buffer.concat(fragments), options: {}, most: 200 },
  {
    name: "compressed messages of one byte",
    unit: compressed(deflated("x")),
    options: { compression: true },
    offer: NO_TAKEOVER,
    most: 3_000,
  },
  {
    name: "compressed messages of one byte, with context takeover",
    unit: compressed(deflated("x")),
    options: { compression: { contextTakeover: true } },
    offer: TAKEOVER,
    most: 3_000,
  },
  {
    name: "compressed messages of eight final blocks",
    unit: compressed(Buffer.from("0300".repeat(8) + "00", "hex")),
    options: { compression: true },
    offer: NO_TAKEOVER,
    most: 800,
  },
];

const texts = Array.from({ length: 6_000 }, (_, i) => `${i}`);
/** Many short messages, and the bytes of their frames. */
const numbers = {
  texts,
  plain: Buffer.concat(texts.map((each) => text(each))),
  compressed: Buffer.concat(texts.map((each) => compressed(deflated(each)))),
};

const ways: [name: string, isTls: boolean][] = [["TCP", false], ["TLS", true]];

describe.each(ways)("over %s", (_name, isTls) => {
  test.each(floods)("another client gets its turn beside a flood of $name", async ({ unit, options, offer, most }) => {
    const { key, cert } = certificate();
    const program = Program.file("tests/support/flooded-server.ts", {
      OPTIONS: JSON.stringify({ ...options, ...(isTls && { tls: { key, cert } }) }),
    });
    const [url] = await program.line(/^https?:.*$/);
    const port = Number(new URL(url).port);
    const flooder = await open(port, isTls, "/flood", offer);
    const other = await open(port, isTls, "/echo");
    const reader = new ServerFrameReader();

    const chunk = Buffer.concat(Array.from({ length: Math.ceil(64 * KiB / unit.length) }, () => unit));
    let isOver = false;
    // The echoes are read and thrown away. Otherwise the server would treat the client as a slow consumer.
    flooder.on("data", () => {});
    const flow = (): void => {
      while (!isOver && flooder.writable && flooder.write(chunk)) { /* Writes until the stream is full. */ }
    };
    flooder.on("drain", flow);
    flow();

    const counts: number[] = [];
    while (counts.length < 20) {
      other.write(text("me too"));
      const [bytes] = await once(other, "data") as [Buffer];
      const count = Number([...reader.read(bytes)][0].payload);
      if (count > 0 || counts.length > 0) counts.push(count);
    }
    isOver = true;
    expect(flooder.destroyed).toBe(false);
    // While this process itself has to wait, the server reads on, and the count grows. A low count of the 20 shows what
    // the server does when the other client has sent its message.
    counts.sort((a, b) => a - b);
    expect(counts[5], `of ${counts}`).toBeLessThan(most);
  });
});

describe.each(ways)(
  "a client that sends very much at once over %s and ends its side is read to the end",
  (_name, isTls) => {
    const kinds: [name: string, options: AppOptions, offer: string | undefined][] = [
      ["plain", {}, undefined],
      ["compressed", { compression: true }, NO_TAKEOVER],
      ["compressed with context takeover", { compression: { contextTakeover: true } }, TAKEOVER],
    ];
    const ends: [name: string, last: readonly Buffer[], code: number][] = [
      ["a Close and a FIN", [close(1000)], 1000],
      ["a FIN alone", [], 1006],
    ];
    const readers: [name: string, read: (socket: Socket, onMessage: (data: string | Buffer) => void) => void][] = [
      ["a listener", (socket, onMessage) => void socket.on("message", onMessage)],
      ["a loop", (socket, onMessage) => {
        (async () => {
          for await (const data of socket) onMessage(data);
        })().catch(() => {});
      }],
    ];

    describe.each(readers)("by %s", (_name, read) => {
      test.each(kinds.flatMap((kind) => ends.map((end) => [kind[0], end[0], kind, end] as const)))(
        "every one of its %s messages arrives, with %s behind them",
        async (_kind, _end, [, options, offer], [, last, code]) => {
          const received: string[] = [];
          const closes: number[] = [];
          const arrived = Promise.withResolvers<Socket>();
          const app = await listeningApp(
            { ...options, ...(isTls && { tls: certificate() }) },
            (app) =>
              app.ws("/", (socket) => {
                socket.on("close", (closeCode) => closes.push(closeCode));
                read(socket, (data) => {
                  received.push(`${data}`);
                  socket.send(data);
                });
                arrived.resolve(socket);
              }),
          );
          const client = await open(portOf(app), isTls, "/", offer);
          const socket = await arrived.promise;
          const closed = eventOf(socket, "close");
          client.on("data", () => {});
          client.end(
            Buffer.concat([offer === undefined ? numbers.plain : numbers.compressed, binary("last"), ...last]),
          );
          expect((await closed)[0]).toBe(code);
          expect(received).toEqual([...numbers.texts, "last"]);
          expect(closes).toEqual([code]);
        },
      );
    });
  },
);
