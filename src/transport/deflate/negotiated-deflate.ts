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

/** How messages are compressed where the client agrees, with every default in place. */
export interface CompressionSettings extends DeflateSettings {
  /** Bytes of a message below which it goes out as it is. */
  readonly threshold: number;
  readonly level: number;
  readonly memLevel: number;
  /** After so long without sending, what a compressor remembers is given back. */
  readonly idleTimeoutMs: number;
  readonly filter: ((data: string | Uint8Array) => boolean) | undefined;
}

/** permessage-deflate (RFC 7692) for the connections of one route. */
export class DeflateNegotiator {
  readonly #settings: CompressionSettings;
  readonly #idle: Deadlines<ContextDeflater>;
  /** One for each different agreement, of which there are few. */
  readonly #negotiated = new Map<string, NegotiatedDeflate>();

  constructor(settings: CompressionSettings) {
    this.#settings = settings;
    this.#idle = new Deadlines(settings.idleTimeoutMs, (deflater) => deflater.close());
  }

  /** What is agreed on with a client; undefined when it offers nothing that can be. */
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

/** What the connections with one agreement have in common. Without context takeover that is all of it, so that compression costs an idle connection nothing. */
export class NegotiatedDeflate {
  /** The value of Sec-WebSocket-Extensions. */
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

  /** The inflater of one more connection. */
  inflater(): Inflater {
    const { clientNoContextTakeover, clientMaxWindowBits } = this.#agreement;
    return clientNoContextTakeover ? this.#inflater : new ContextInflater(clientMaxWindowBits);
  }

  /** The deflater of one more connection. */
  deflater(): Deflater {
    const { serverNoContextTakeover, serverMaxWindowBits: windowBits } = this.#agreement;
    if (serverNoContextTakeover) return this.#deflater;
    const { level, memLevel } = this.#settings;
    return new ContextDeflater({ level, memLevel, windowBits }, this.#idle);
  }

  /** Whether a message is to be compressed, when its sender leaves that open. */
  isWorthIt(data: string | Uint8Array): boolean {
    const { threshold, filter } = this.#settings;
    const isLong = data.length >= threshold ||
      (typeof data === "string" && data.length * MAX_UTF8_BYTES_PER_CHAR >= threshold &&
        Buffer.byteLength(data) >= threshold);
    return isLong && (filter === undefined || filter(data));
  }
}

/** Routes with the same settings share their results too. */
const deflaters = new Map<string, Deflater>();

function sharedDeflater(level: number, memLevel: number, windowBits: number): Deflater {
  const key = `${level} ${memLevel} ${windowBits}`;
  let deflater = deflaters.get(key);
  if (deflater === undefined) deflaters.set(key, deflater = new MessageDeflater({ level, memLevel, windowBits }));
  return deflater;
}
