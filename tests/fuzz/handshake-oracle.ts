/** A second reader of the headers of a handshake, written from RFC 6455 §4.2.1. */

import { HandshakeError } from "../../src/protocol/errors.ts";
import { parseExtensions } from "../../src/protocol/extensions.ts";
import { validateUpgrade } from "../../src/protocol/handshake.ts";
import { isHost } from "../../src/protocol/host.ts";
import { readExtensions } from "./extension-oracle.ts";
import { expectSame } from "./same.ts";

type Headers = Record<string, string | string[] | undefined>;

/** The headers of a handshake that is taken. */
export const rightHeaders = {
  host: "localhost:80",
  upgrade: "websocket",
  connection: "Upgrade",
  "sec-websocket-version": "13",
  "sec-websocket-key": "c3BhY2Vub2RlLWtleS0wMQ==",
} as const;

/** Gives the result, or the status with which the handshake is refused. Any other error is thrown on. */
export function resultOf<Result>(run: () => Result): Result | number {
  try {
    return run();
  } catch (error) {
    if (!(error instanceof HandshakeError)) throw error;
    return error.status;
  }
}

const tokens = (text: string): string[] => text.split(",").map((each) => each.replace(/^[ \t]+|[ \t]+$/g, ""));
const isToken = (text: string): boolean => /^[!#$%&'*+\-.^_`|~\dA-Za-z]+$/.test(text);

/** The status that a request deserves, read from RFC 6455 §4.2.1, or 101. */
function judge(method: string, version: string, headers: Headers): number {
  const text = (name: string): string | undefined =>
    headers[name] === undefined ? undefined : [headers[name]].flat().join(", ");
  const lists = (name: string, token: string): boolean =>
    tokens(text(name) ?? "").some((each) => each.toLowerCase() === token);
  if (method !== "GET") return 405;
  if (version !== "1.1" || !isHost(text("host") ?? "")) return 400;
  if (!lists("upgrade", "websocket") || !lists("connection", "upgrade")) return 400;
  if (headers["transfer-encoding"] !== undefined || (text("content-length") ?? "0") !== "0") return 400;
  if (text("sec-websocket-version") !== "13") return 426;
  if (!/^[A-Za-z\d+/]{22}==$/.test(text("sec-websocket-key") ?? "")) return 400;
  const subprotocols = text("sec-websocket-protocol");
  if (subprotocols !== undefined) {
    const list = tokens(subprotocols).filter((each) => each !== "");
    if (list.length === 0 || !list.every(isToken) || new Set(list).size < list.length) return 400;
  }
  const extensions = text("sec-websocket-extensions");
  return extensions !== undefined && readExtensions(extensions) === undefined ? 400 : 101;
}

/** Expects that a handshake is taken, or refused with the status that it deserves, and what it offers. */
export function checkHandshake(method: string, httpVersion: string, headers: Headers): void {
  const input = (): string => JSON.stringify({ method, httpVersion, headers });
  const result = resultOf(() => validateUpgrade({ method, httpVersion, headers }));
  const status = typeof result === "number" ? result : 101;
  expectSame(String(status), String(judge(method, httpVersion, headers)), input);
  if (typeof result === "number") return;
  const protocols = headers["sec-websocket-protocol"];
  const listed = protocols === undefined ? [] : tokens([protocols].flat().join(",")).filter((each) => each !== "");
  expectSame(JSON.stringify(result.subprotocols), JSON.stringify(listed), input);
}

/** Expects that Sec-WebSocket-Extensions is read as RFC 6455 §9.1 reads it. */
export function checkExtensions(header: string): void {
  const result = resultOf(() => parseExtensions(header));
  const read = typeof result === "number"
    ? result
    : result.map(({ name, parameters }) => [name, parameters.map(({ name, value }) => [name, value])]);
  expectSame(JSON.stringify(read), JSON.stringify(readExtensions(header) ?? 400), () => JSON.stringify(header));
}
