/**
 * The option `trustProxy`: what proxies in front of the app say about the client, in X-Forwarded-For, X-Forwarded-Proto
 * and X-Forwarded-Host, or in Forwarded (RFC 7239).
 *
 * A client can send these headers too. Each proxy adds its part on the right, so the headers are read from the right,
 * for as long as the address that has added a part is a trusted proxy. What stands further left is never looked at.
 */
import type { IncomingHttpHeaders } from "node:http";
import { BlockList, isIP } from "node:net";
import { entryOf, type Logger } from "../common/logger.ts";
import { isPromise, isTrue, throwInvalidOption } from "../common/validate.ts";
import { HttpError } from "./http-error.ts";
import { type Part, partsOfForwarded, partsOfXForwarded } from "./forwarded.ts";

/**
 * Which proxies in front of the app are trusted to say who the client is:
 *
 * - A number tells how many proxies each request comes through. `1` trusts the peer of the TCP connection only.
 * - A string is the address of a proxy, such as `"10.0.0.1"` or `"::1"`, or a range in the CIDR notation, such as
 *   `"10.0.0.0/8"`. An IPv4 address or range also stands for the same addresses in IPv6, such as `::ffff:10.0.0.1`.
 * - An array trusts each of its addresses and ranges.
 * - A function is a {@link ProxyPredicate}.
 * - `false` trusts no proxy.
 */
export type TrustProxy = false | number | string | readonly string[] | ProxyPredicate;

/**
 * Decides whether an address is that of a trusted proxy. It gets the address, which is `""` for a Unix socket, and the
 * number of the hop: 0 for the peer of the TCP connection, 1 for the address that this peer has named, and so on. Only
 * `true` trusts the address. If the function throws, the address is not trusted, and the first such error is logged.
 */
export type ProxyPredicate = (address: string, hop: number) => boolean;

/** What trusted proxies have said about the client of a request. */
export interface Client {
  /** The client's address, or that of the last proxy whose peer is not known. */
  readonly ip: string;
  /** The protocol that the client speaks. Undefined if no trusted proxy has said it. */
  readonly protocol?: "http" | "https" | undefined;
  /** The host and port that the client has asked for. Undefined if no trusted proxy has said it. */
  readonly host?: string | undefined;
}

const WANTED = 'false, a number of proxies from 0 on, an address such as "10.0.0.1", a range such as "10.0.0.0/8", ' +
  "an array of addresses and ranges, or a function";

/**
 * Makes one check out of the option `trustProxy`.
 *
 * @returns the check, which never throws; undefined if no proxy is trusted
 * @throws TypeError or RangeError that names the wrong value
 */
export function compileTrustProxy(value: TrustProxy | undefined, logger: Logger): ProxyPredicate | undefined {
  if (value === undefined || value === false || value === 0) return undefined;
  if (typeof value === "function") return guard(value, logger);
  if (typeof value === "number") {
    if (!Number.isInteger(value) || value < 0) throw new RangeError(`trustProxy must be ${WANTED}; got ${value}`);
    return (_address, hop) => hop < value;
  }
  return compileAddresses(typeof value === "string" ? [value] : value);
}

function compileAddresses(entries: unknown): ProxyPredicate {
  if (!Array.isArray(entries)) throwInvalidOption("trustProxy", entries, WANTED);
  const trusted = new BlockList();
  for (const entry of entries) addRange(trusted, entry);
  return (address) => {
    // The zone of a link-local address, as in "fe80::1%eth0", is the name of an interface of this machine.
    const [bare] = address.split("%", 1);
    const family = isIP(bare);
    return family !== 0 && trusted.check(bare, familyName(family));
  };
}

/** An address, or an address and the number of bits that matter. */
const RANGE = /^([\da-f.:]+)(?:\/(\d{1,3}))?$/i;

function addRange(trusted: BlockList, entry: unknown): void {
  const [, address = "", bits] = typeof entry === "string" ? RANGE.exec(entry) ?? [] : [];
  const family = isIP(address);
  const maxBits = family === 4 ? 32 : 128;
  const count = bits === undefined ? maxBits : Number(bits);
  // Bun takes texts such as "10.0.0" for addresses, so `isIP` decides.
  if (family === 0 || count > maxBits) throwInvalidOption("trustProxy", entry, WANTED);
  trusted.addSubnet(address, count, familyName(family));
}

function familyName(family: number): "ipv4" | "ipv6" {
  return family === 4 ? "ipv4" : "ipv6";
}

/** Keeps a predicate of the application from ending the process: its first fault is logged. */
function guard(predicate: ProxyPredicate, logger: Logger): ProxyPredicate {
  let hasLogged = false;
  const log = (error: unknown): void => {
    if (!hasLogged) {
      logger.error(entryOf("SpaceNode: the trustProxy function has failed, and a proxy is not trusted", error));
    }
    hasLogged = true;
  };
  return (address, hop) => {
    try {
      const answer: unknown = predicate(address, hop);
      if (isPromise(answer)) {
        log(new TypeError("trustProxy must be a function that returns true or false; it has returned a promise"));
      }
      return isTrue(answer);
    } catch (error) {
      log(error);
      return false;
    }
  };
}

/**
 * Reads who the client of a request is. A malformed part ends the reading.
 *
 * A proxy that writes one kind of header usually passes the other kind on as the client has sent it. When both kinds
 * are there, nobody can tell which of them is the proxy's, so only that counts in which both agree. A client must not
 * be able to make the proxy's own address count instead, which an application may trust more than others. So a request
 * in which the two name different clients is refused.
 *
 * @param peer the address of the TCP connection's peer, or `""` for a Unix socket
 * @throws HttpError 400 if Forwarded and X-Forwarded-For name different clients
 */
export function readClient(peer: string, headers: IncomingHttpHeaders, isTrusted: ProxyPredicate | undefined): Client {
  const own: Client = { ip: peer };
  if (isTrusted === undefined || !isTrusted(peer, 0)) return own;
  const [standard, x] = [partsOfForwarded(headers), partsOfXForwarded(headers)].map((parts) =>
    parts && walk(own, parts, isTrusted)
  );
  return standard !== undefined && x !== undefined ? agreement(standard, x) : standard ?? x ?? own;
}

function agreement(one: Client, other: Client): Client {
  if (one.ip !== other.ip) throw new HttpError(400, "Forwarded and X-Forwarded-For name different clients");
  return {
    ip: one.ip,
    protocol: one.protocol === other.protocol ? one.protocol : undefined,
    host: one.host === other.host ? one.host : undefined,
  };
}

/** Goes from the peer towards the client, one part further for each address that is trusted. */
function walk(own: Client, parts: Iterable<Part>, isTrusted: ProxyPredicate): Client {
  let { ip, protocol, host } = own;
  let hop = 0;
  for (const part of parts) {
    if (hop > 0 && !isTrusted(ip, hop)) break;
    protocol = part.protocol ?? protocol;
    host = part.host ?? host;
    if (part.address === undefined) break;
    ip = part.address;
    hop++;
  }
  return { ip, protocol, host };
}
