/**
 * A second reader of Sec-WebSocket-Extensions, and the rules that an answer to it has to keep. It is written from RFC
 * 6455 §9.1 and RFC 7692 §7.1, with regular expressions that are too slow for long headers.
 */

import type { DeflateSettings } from "../../src/protocol/permessage-deflate.ts";

/** An extension, and its parameters in order. */
export type Offer = readonly [
  name: string,
  parameters: readonly (readonly [name: string, value: string | undefined])[],
];

const CHARACTER = "[!#$%&'*+\\-.^_`|~0-9A-Za-z]";
const TOKEN = `${CHARACTER}+`;
const OWS = "[ \\t]*";
const VALUE = `(?:${TOKEN}|"(?:\\\\?${CHARACTER})+")`;
const PARAMETER = `${OWS};${OWS}${TOKEN}(?:${OWS}=${OWS}${VALUE})?`;
const ELEMENT = `${TOKEN}(?:${PARAMETER})*`;
const LIST = new RegExp(`^(?:${OWS},)*${OWS}${ELEMENT}(?:${OWS}(?:,${OWS})+${ELEMENT})*(?:${OWS},)*${OWS}$`);

/** Reads a header; undefined when it breaks the grammar. */
export function readExtensions(header: string): Offer[] | undefined {
  if (!LIST.test(header)) return undefined;
  return [...header.matchAll(new RegExp(ELEMENT, "g"))].map(([element]) => {
    const [[name], ...parameters] = [...element.matchAll(new RegExp(`(${TOKEN})(?:${OWS}=${OWS}(${VALUE}))?`, "g"))]
      .map(([, key, value]) =>
        [key, value?.startsWith('"') ? value.slice(1, -1).replaceAll("\\", "") : value] as const
      );
    return [name, parameters] as const;
  });
}

/** True when a server with these settings can take an offer, RFC 7692 §7.1. zlib cannot compress with 8 bits. */
export function isAcceptable([name, parameters]: Offer): boolean {
  if (name.toLowerCase() !== "permessage-deflate") return false;
  const names = parameters.map(([each]) => each);
  return new Set(names).size === names.length && parameters.every(([each, value]) => {
    if (/^(server|client)_no_context_takeover$/.test(each)) return value === undefined;
    if (each === "server_max_window_bits") return /^(9|1[0-5])$/.test(value ?? "");
    return each === "client_max_window_bits" && /^([89]|1[0-5])$/.test(value ?? "15");
  });
}

/** What is wrong with the answer to an offer; undefined when it keeps the rules of RFC 7692 §7.1. */
export function faultOfAnswer(header: string, [, asked]: Offer, settings: DeflateSettings): string | undefined {
  const answer = readExtensions(header);
  if (answer?.length !== 1 || answer[0][0] !== "permessage-deflate") return "it is not one permessage-deflate";
  const wanted = new Map(asked);
  const given = new Map(answer[0][1]);
  if (given.size !== answer[0][1].length) return "it has a parameter twice";
  if (!isAcceptable(answer[0])) return "it has a parameter or a value that no answer has";
  if (wanted.has("server_no_context_takeover") && !given.has("server_no_context_takeover")) {
    return "§7.1.1.1: it does not give up the server's context";
  }
  if (!settings.contextTakeover && given.size < 2) return "it keeps a context that the server does not keep";
  const bits = Number(given.get("server_max_window_bits") ?? 15);
  if (bits > Number(wanted.get("server_max_window_bits") ?? 15)) return "§7.1.2.1: its window is larger than asked for";
  if (wanted.has("server_max_window_bits") && !given.has("server_max_window_bits")) {
    return "§7.1.2.1: it lacks the window";
  }
  if (bits > settings.serverMaxWindowBits) return "its window is larger than the server's";
  if (!given.has("client_max_window_bits")) return undefined;
  if (!wanted.has("client_max_window_bits")) return "§7.1.2.2: it names a window that the client cannot choose";
  if (given.get("client_max_window_bits") === undefined) return "§7.1.2.2: the client's window has no size";
  return undefined;
}
