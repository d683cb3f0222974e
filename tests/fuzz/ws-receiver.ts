/** The receiver of the package ws, which gives a second opinion about the frames of a client. */

import { createRequire } from "node:module";
import type { InflateRaw } from "node:zlib";
import type { Settings } from "./frame-oracle.ts";

interface Receiver {
  on(event: string, listener: (...values: never[]) => void): this;
  _write(chunk: Buffer, encoding: string, done: (error?: WsError) => void): void;
}

type WsError = Error & Record<symbol, number>;

interface PerMessageDeflate {
  accept(offers: readonly object[]): object;
  cleanup(): void;
}

// The path leads past Bun's own module of the name ws.
const requireWs = createRequire(new URL("../../node_modules/ws/lib/", import.meta.url));
const WsReceiver: new (options: object) => Receiver = requireWs("./receiver.js");
const WsDeflate: new (options: object) => PerMessageDeflate = requireWs("./permessage-deflate.js");
const { kStatusCode } = requireWs("./constants.js") as { kStatusCode: symbol };

/**
 * Keeps Deno from what ws does not expect of a stream of zlib: a stream that has ended is closed, so that its `reset`
 * throws, and `flush` calls back after the stream was closed. Both happen outside of any call of ws.
 */
function shielded(compression: PerMessageDeflate): PerMessageDeflate {
  let stream: InflateRaw | null = null;
  return Object.defineProperty(compression, "_inflate", {
    get: () => stream,
    set: (opened: InflateRaw | null) => {
      stream = opened;
      if (opened === null) return;
      const [reset, flush] = [opened.reset.bind(opened), opened.flush.bind(opened) as (done: () => void) => void];
      opened.reset = () => opened.destroyed ? undefined : reset();
      Object.assign(opened, { flush: (done: () => void) => flush(() => stream === opened && done()) });
    },
  });
}

/** What a receiver has made of the bytes of a client. */
export interface Opinion {
  /** The lines of `RecordingHandler`, without a Close for a fault of the client. */
  readonly lines: readonly string[];
  /** The code of the Close for a fault of the client. */
  readonly code: number | undefined;
}

/** What ws makes of the bytes. */
export async function readWithWs(bytes: Buffer, settings: Settings): Promise<Opinion> {
  const { maxMessageBytes, maxFragments, deflate } = settings;
  const lines: string[] = [];
  let code: number | undefined;
  const compression = deflate === undefined ? undefined : shielded(
    new WsDeflate({
      isServer: true,
      maxPayload: maxMessageBytes,
      clientNoContextTakeover: deflate === "no takeover",
    }),
  );
  compression?.accept([{}]);
  const { promise, resolve } = Promise.withResolvers<void>();
  const receiver = new WsReceiver({
    isServer: true,
    maxPayload: maxMessageBytes,
    maxFragments,
    extensions: compression === undefined ? {} : { "permessage-deflate": compression },
  });
  receiver.on("message", (data: Buffer, isBinary: boolean) => {
    lines.push(isBinary ? `binary ${data.toString("hex")}` : `text ${data}`);
  });
  receiver.on("ping", (data: Buffer) => {
    const hex = data.toString("hex");
    lines.push(`> pong ${hex}`, `ping ${hex}`);
  });
  receiver.on("pong", (data: Buffer) => lines.push(`pong ${data.toString("hex")}`));
  receiver.on("conclude", (code: number, reason: Buffer) => {
    lines.push(`> close${code === 1005 ? "" : ` ${code}`}${reason.length > 0 ? " " : ""}${reason}`, "finished");
    resolve();
  });
  receiver._write(Buffer.from(bytes), "buffer", (error) => {
    if (error !== undefined && error !== null) code = error[kStatusCode] ?? NaN;
    resolve();
  });
  await promise;
  compression?.cleanup();
  return { lines, code };
}
