/**
 * permessage-deflate (RFC 7692) as a route offers it and as a client has agreed to it.
 *
 * Module state: `deflaters`, the deflaters without context takeover of the whole process, by their settings. Routes
 * with the same settings thus share their results as well. Nothing resets it; it has one entry for each combination of
 * settings and window size that is in use.
 */
import { Buffer } from "node:buffer";
import type { ExtensionOffer } from "../../protocol/extensions.ts";
import {
  type DeflateAgreement,
  type DeflateSettings,
  type Inflater,
  negotiateDeflate,
} from "../../protocol/permessage-deflate.ts";
import { MAX_UTF8_BYTES_PER_CHAR } from "../../protocol/utf8.ts";
import { Deadlines } from "../timers/deadlines.ts";
import { ContextDeflater, type Deflater, MessageDeflater } from "./deflater.ts";
import { ContextInflater, MessageInflater } from "./inflater.ts";

const deflaters = new Map<string, Deflater>();

/** How messages are compressed where the client agrees, with every default filled in. */
export interface CompressionSettings extends DeflateSettings {
  /** The size in bytes below which a message is sent without compression. */
  readonly threshold: number;
  readonly level: number;
  readonly memLevel: number;
  /** With context takeover, a connection's window is freed when it has sent nothing for this time. */
  readonly idleTimeoutMs: number;
  /** Decides about messages from `threshold` on; undefined compresses all of them. */
  readonly filter: ((data: string | Uint8Array) => boolean) | undefined;
}

/** Agrees on permessage-deflate with the clients of one route. */
export class DeflateNegotiator {
  readonly #settings: CompressionSettings;
  readonly #idle: Deadlines<ContextDeflater>;
  /** One for each different agreement, by its header. There are few. */
  readonly #negotiated = new Map<string, NegotiatedDeflate>();

  constructor(settings: CompressionSettings) {
    this.#settings = settings;
    this.#idle = new Deadlines(settings.idleTimeoutMs, (deflater) => deflater.close());
  }

  /** Agrees with a client on one of its offers; undefined when none of them can be accepted. */
  negotiate(offers: readonly ExtensionOffer[]): NegotiatedDeflate | undefined {
    const agreement = negotiateDeflate(offers, this.#settings);
    if (agreement === undefined) return undefined;
    let negotiated = this.#negotiated.get(agreement.header);
    if (negotiated === undefined) {
      negotiated = new NegotiatedDeflate(agreement, this.#settings, this.#idle);
      this.#negotiated.set(agreement.header, negotiated);
    }
    return negotiated;
  }
}

/**
 * The state that all connections with the same agreement share. Without context takeover a connection has no state of
 * its own, so that compression costs an idle connection nothing.
 */
export class NegotiatedDeflate {
  /** The value of `Sec-WebSocket-Extensions` in the response. */
  readonly header: string;
  readonly #agreement: DeflateAgreement;
  readonly #settings: CompressionSettings;
  readonly #idle: Deadlines<ContextDeflater>;
  readonly #inflater: Inflater;
  readonly #deflater: Deflater;

  constructor(agreement: DeflateAgreement, settings: CompressionSettings, idle: Deadlines<ContextDeflater>) {
    this.header = agreement.header;
    this.#agreement = agreement;
    this.#settings = settings;
    this.#idle = idle;
    this.#inflater = new MessageInflater();
    this.#deflater = sharedDeflater(settings.level, settings.memLevel, agreement.serverMaxWindowBits);
  }

  /** Returns the inflater for a new connection. */
  inflater(): Inflater {
    const { clientNoContextTakeover, clientMaxWindowBits } = this.#agreement;
    return clientNoContextTakeover ? this.#inflater : new ContextInflater(clientMaxWindowBits);
  }

  /** Returns the deflater for a new connection. */
  deflater(): Deflater {
    const { serverNoContextTakeover, serverMaxWindowBits: windowBits } = this.#agreement;
    if (serverNoContextTakeover) return this.#deflater;
    const { level, memLevel } = this.#settings;
    return new ContextDeflater({ level, memLevel, windowBits }, this.#idle);
  }

  /** True when a message is to be compressed whose sender leaves that open. */
  isWorthIt(data: string | Uint8Array): boolean {
    const { threshold, filter } = this.#settings;
    const isLong = data.length >= threshold ||
      (typeof data === "string" && data.length * MAX_UTF8_BYTES_PER_CHAR >= threshold &&
        Buffer.byteLength(data) >= threshold);
    return isLong && (filter === undefined || filter(data));
  }
}

function sharedDeflater(level: number, memLevel: number, windowBits: number): Deflater {
  const key = `${level} ${memLevel} ${windowBits}`;
  let deflater = deflaters.get(key);
  if (deflater === undefined) deflaters.set(key, deflater = new MessageDeflater({ level, memLevel, windowBits }));
  return deflater;
}
