/** The receiver of the package ws, which gives a second opinion about the frames of a client. */

import { createRequire } from "node:module";
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
  const compression = deflate === undefined ? undefined : new WsDeflate({
    isServer: true,
    maxPayload: maxMessageBytes,
    clientNoContextTakeover: deflate === "no takeover",
  });
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
