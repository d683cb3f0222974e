/** The grammar of the Host header, RFC 9110 §7.2 and RFC 3986 §3.2.2. */

/**
 * A host name of RFC 3986 §3.2.2 (reg-name) with an optional port. The comma, which the RFC allows, is left out, since
 * several Host headers that were joined look like a name with commas. A name has at least one character (RFC 9110
 * §4.2.1).
 */
const NAME = /^(?:[\w\-.~!$&'()*+;=]|%[\da-f]{2})+(?::\d*)?$/i;

/** An IP-literal of RFC 3986 §3.2.2 with an optional port: an address of IPv6 or of a future version of IP. */
const LITERAL = /^\[(?:([\da-f:.]+)|v[\da-f]+\.[\w\-.~!$&'()*+,;=:]+)\](?::\d*)?$/i;

/** An IPv4address of RFC 3986 §3.2.2: four numbers from 0 to 255 without leading zeros. */
const IPV4 = /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!$)|$)){4}$/;

/** True when a text is the value of one Host header: a host with an optional port. The check takes linear time. */
export function isHost(text: string): boolean {
  if (NAME.test(text)) return true;
  const literal = LITERAL.exec(text);
  return literal !== null && (literal[1] === undefined || isIpv6(literal[1]));
}

/**
 * True for an IPv6address of RFC 3986 §3.2.2: eight groups of hexadecimal digits. One "::" may stand for one or more
 * of the groups, and an IPv4 address for the last two.
 */
function isIpv6(text: string): boolean {
  const halves = text.split("::");
  if (halves.length > 2) return false;
  const groups = halves.flatMap((half) => half === "" ? [] : half.split(":"));
  const last = groups.at(-1) ?? "";
  // An IPv4 address cannot stand before the "::".
  const endsInIpv4 = last.includes(".") && halves.at(-1) !== "";
  if (endsInIpv4 && !IPV4.test(last)) return false;
  const areHex = groups.slice(0, endsInIpv4 ? -1 : undefined).every((group) => /^[\da-f]{1,4}$/i.test(group));
  const count = groups.length + (endsInIpv4 ? 1 : 0);
  return areHex && (halves.length === 2 ? count < 8 : count === 8);
}
