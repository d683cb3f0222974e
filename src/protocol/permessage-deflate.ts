import type { ExtensionOffer, ExtensionParameter } from "./extensions.ts";

/** What a server wants of permessage-deflate, RFC 7692 §7. */
export interface DeflateSettings {
  /** Whether both sides may refer back to earlier messages, which costs memory for every connection. */
  readonly contextTakeover: boolean;
  /** The largest window, as a power of two, that we compress with. */
  readonly serverMaxWindowBits: number;
  /** The largest window that a client may compress with, if it can be told. */
  readonly clientMaxWindowBits: number;
}

/** What both sides have agreed on. */
export interface DeflateAgreement {
  /** The answer's Sec-WebSocket-Extensions. */
  readonly header: string;
  readonly serverNoContextTakeover: boolean;
  readonly clientNoContextTakeover: boolean;
  readonly serverMaxWindowBits: number;
  readonly clientMaxWindowBits: number;
}

/** Undoes the compression of messages, in the order in which they come. */
export interface Inflater {
  /**
   * @param payload the payloads of a message's frames, joined
   * @param maxBytes what the message may have at most
   * @returns the message, at once or later; the next one is given when it is there
   * @throws ProtocolError 1009 above the limit, 1007 for what is no DEFLATE; or rejects with it
   */
  inflate(payload: Uint8Array, maxBytes: number): Uint8Array | Promise<Uint8Array>;
  /** Gives back what it holds. A message that is being inflated need not come any more. */
  close(): void;
}

const NAME = "permessage-deflate";
const MAX_WINDOW_BITS = 15;
/** zlib compresses with no smaller window. An offer that asks it of us is declined; a client that agrees to 8 bits may take these. */
export const MIN_WINDOW_BITS = 9;
/** §7.1.2.1: a decimal number from 8 to 15 without leading zeros. */
const WINDOW_BITS = /^(?:[89]|1[0-5])$/;

/** The parameters of one offer: `client_max_window_bits` may come without a value. */
interface Offer {
  serverNoContextTakeover: boolean;
  clientNoContextTakeover: boolean;
  serverMaxWindowBits: number | undefined;
  clientMaxWindowBits: number | undefined;
}

/** The first of a client's offers that is valid and that we can satisfy, §5.1 and §7.1. Others are as if they were not there. */
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

function readOffer(parameters: readonly ExtensionParameter[]): Offer | undefined {
  const offer: Offer = {
    serverNoContextTakeover: false,
    clientNoContextTakeover: false,
    serverMaxWindowBits: undefined,
    clientMaxWindowBits: undefined,
  };
  const seen = new Set<string>();
  for (const { name, value } of parameters) {
    // §7.1: an offer with a parameter that is unknown, or comes twice, is declined.
    if (seen.has(name) || !readParameter(offer, name, value)) return undefined;
    seen.add(name);
  }
  return offer;
}

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
  // §7.1.2.2: a client that does not offer the parameter cannot be told. What one says of itself it keeps to without being told.
  let clientMaxWindowBits = MAX_WINDOW_BITS;
  if (offer.clientMaxWindowBits !== undefined && settings.clientMaxWindowBits < MAX_WINDOW_BITS) {
    clientMaxWindowBits = Math.min(offer.clientMaxWindowBits, settings.clientMaxWindowBits);
    header += `; client_max_window_bits=${clientMaxWindowBits}`;
  }
  return { header, serverNoContextTakeover, clientNoContextTakeover, serverMaxWindowBits, clientMaxWindowBits };
}
