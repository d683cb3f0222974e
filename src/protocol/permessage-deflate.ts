/** The negotiation of permessage-deflate, RFC 7692 §5 and §7.1, and the interface to its decompression. */
import type { ExtensionOffer, ExtensionParameter } from "./extensions.ts";

/** The server's own wishes for permessage-deflate, RFC 7692 §7.1. */
export interface DeflateSettings {
  /** True when both sides may refer back to earlier messages, which costs memory for every connection. */
  readonly contextTakeover: boolean;
  /** The largest window with which the server compresses, as the exponent of a power of two. */
  readonly serverMaxWindowBits: number;
  /** The largest window with which a client may compress; told only to a client that offers it (§7.1.2.2). */
  readonly clientMaxWindowBits: number;
}

/** The parameters of permessage-deflate for one connection, RFC 7692 §7.1. */
export interface DeflateAgreement {
  /** The value of Sec-WebSocket-Extensions in the 101 response. */
  readonly header: string;
  readonly serverNoContextTakeover: boolean;
  readonly clientNoContextTakeover: boolean;
  readonly serverMaxWindowBits: number;
  readonly clientMaxWindowBits: number;
}

/** Decompresses messages in the order in which they come, RFC 7692 §7.2.2. */
export interface Inflater {
  /**
   * Decompresses one message. The caller passes the next message only after this one has been returned or has resolved.
   *
   * @param payload the payloads of all frames of the message, joined
   * @param maxBytes the most bytes that the decompressed message may have
   * @returns the decompressed message, or a promise for it
   * @throws ProtocolError 1009 when the message is longer than `maxBytes`, 1007 when the payload is not valid DEFLATE
   * data; a promise rejects with the same errors
   */
  inflate(payload: Uint8Array, maxBytes: number): Uint8Array | Promise<Uint8Array>;
  /** Frees the memory of the inflater. The promise for a message that is being decompressed may then stay pending. */
  close(): void;
}

/** The name of the extension, RFC 7692 §7. */
const NAME = "permessage-deflate";
const MAX_WINDOW_BITS = 15;
/**
 * The smallest window with which zlib compresses. An offer that asks the server for 8 bits is declined. A client that
 * compresses with 8 bits can be decompressed with 9.
 */
export const MIN_WINDOW_BITS = 9;
/** A window size: a decimal number from 8 to 15 without leading zeros (§7.1.2.1). */
const WINDOW_BITS = /^(?:[89]|1[0-5])$/;

/** The parameters of one offer. A `client_max_window_bits` without a value counts as 15. */
interface Offer {
  serverNoContextTakeover: boolean;
  clientNoContextTakeover: boolean;
  serverMaxWindowBits: number | undefined;
  clientMaxWindowBits: number | undefined;
}

/**
 * Takes the first of a client's offers that is valid and that the server can satisfy, RFC 7692 §5.1 and §7.1. All
 * other offers, and other extensions, are ignored.
 *
 * @returns the agreement, or `undefined` when no offer can be taken; messages are then not compressed
 */
export function negotiateDeflate(
  offers: readonly ExtensionOffer[],
  settings: DeflateSettings,
): DeflateAgreement | undefined {
  for (const { name, parameters } of offers) {
    if (name.toLowerCase() !== NAME) continue;
    const offer = readOffer(parameters);
    if (offer !== undefined) return agree(offer, settings);
  }
  return undefined;
}

/** Reads the parameters of one offer. Gives `undefined` when the offer has to be declined. */
function readOffer(parameters: readonly ExtensionParameter[]): Offer | undefined {
  const offer: Offer = {
    serverNoContextTakeover: false,
    clientNoContextTakeover: false,
    serverMaxWindowBits: undefined,
    clientMaxWindowBits: undefined,
  };
  const names = new Set<string>();
  for (const { name, value } of parameters) {
    // §7.1: an offer with an unknown parameter, or with the same parameter twice, is declined.
    if (names.has(name) || !readParameter(offer, name, value)) return undefined;
    names.add(name);
  }
  return offer;
}

/** Reads one parameter into the offer. False when its name is unknown or its value is not allowed. */
function readParameter(offer: Offer, name: string, value: string | undefined): boolean {
  switch (name) {
    case "server_no_context_takeover":
      offer.serverNoContextTakeover = true;
      return value === undefined;
    case "client_no_context_takeover":
      offer.clientNoContextTakeover = true;
      return value === undefined;
    case "server_max_window_bits":
      offer.serverMaxWindowBits = Number(value);
      return value !== undefined && WINDOW_BITS.test(value) && offer.serverMaxWindowBits >= MIN_WINDOW_BITS;
    case "client_max_window_bits":
      offer.clientMaxWindowBits = value === undefined ? MAX_WINDOW_BITS : Number(value);
      return value === undefined || WINDOW_BITS.test(value);
    default:
      return false;
  }
}

/**
 * Makes an agreement of a valid offer and the server's settings, with the parameters that the response must contain.
 */
function agree(offer: Offer, settings: DeflateSettings): DeflateAgreement {
  const serverNoContextTakeover = !settings.contextTakeover || offer.serverNoContextTakeover;
  const clientNoContextTakeover = !settings.contextTakeover || offer.clientNoContextTakeover;
  const serverMaxWindowBits = Math.min(offer.serverMaxWindowBits ?? MAX_WINDOW_BITS, settings.serverMaxWindowBits);
  let header = NAME;
  if (serverNoContextTakeover) header += "; server_no_context_takeover";
  if (clientNoContextTakeover) header += "; client_no_context_takeover";
  if (offer.serverMaxWindowBits !== undefined || serverMaxWindowBits < MAX_WINDOW_BITS) {
    header += `; server_max_window_bits=${serverMaxWindowBits}`;
  }
  // §7.1.2.2: the response may contain the parameter only when the offer does. A client keeps to the size in its own
  // offer without being told, so the parameter is sent only when the server has a smaller maximum than 15.
  let clientMaxWindowBits = MAX_WINDOW_BITS;
  if (offer.clientMaxWindowBits !== undefined && settings.clientMaxWindowBits < MAX_WINDOW_BITS) {
    clientMaxWindowBits = Math.min(offer.clientMaxWindowBits, settings.clientMaxWindowBits);
    header += `; client_max_window_bits=${clientMaxWindowBits}`;
  }
  return { header, serverNoContextTakeover, clientNoContextTakeover, serverMaxWindowBits, clientMaxWindowBits };
}
