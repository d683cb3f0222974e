/** Apps that compress, clients for them, and messages to send. Apps and clients close when their test ends. */

import { onTestFinished } from "vitest";
import type { App, AppOptions, Socket } from "../../mod.ts";
import { listeningApp, portOf, type Seen, watch } from "./app.ts";
import { DeflateClient, type DeflateConnectOptions } from "./deflate.ts";
import { Random } from "./random.ts";

const random = new Random(7692);

/** A text of this many bytes that compresses well and differs from all others. */
export function prose(bytes: number): string {
  const words = Array.from({ length: Math.ceil(bytes / 8) }, () => `word${1000 + random.below(9000)}`);
  return words.join("").slice(0, bytes);
}

/** Bytes that cannot be compressed. */
export function noise(bytes: number): Buffer {
  return random.bytes(bytes);
}

export async function connectDeflate(app: App, options: DeflateConnectOptions = {}): Promise<DeflateClient> {
  const client = await DeflateClient.connect(portOf(app), options);
  onTestFinished(() => client.terminate());
  return client;
}

export interface DeflatePair {
  readonly app: App;
  readonly client: DeflateClient;
  /** The server's end. */
  readonly socket: Socket;
  readonly seen: Seen;
}

/** The settings of an app that compresses. */
export type Compression = Exclude<AppOptions["compression"], boolean | undefined>;

/** Both ends of one connection with compression. */
export async function deflatePair(compression: Compression = {}, options: AppOptions = {}): Promise<DeflatePair> {
  const { promise, resolve } = Promise.withResolvers<{ socket: Socket; seen: Seen }>();
  const app = await listeningApp({ compression, ...options }, (app) => {
    app.ws("/", (socket) => resolve({ socket, seen: watch(socket) }));
  });
  const client = await connectDeflate(app);
  return { app, client, ...await promise };
}

/** Compression without context takeover, and with it on both sides. */
export const deflateModes: readonly [name: string, compression: Compression][] = [
  ["no takeover", {}],
  ["takeover", { contextTakeover: true }],
];
