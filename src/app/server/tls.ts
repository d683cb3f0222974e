import { createPrivateKey, X509Certificate } from "node:crypto";
import type { ServerOptions } from "node:https";
import { show } from "../common/show.ts";
import { isObject } from "../common/validate.ts";

/** Certificate, key, and whatever else `node:https` takes for a server. */
export type TlsOptions = ServerOptions;

/**
 * Tells a wrong certificate or key at once: some runtimes would listen with it, and fail each client.
 *
 * @throws TypeError that names the option
 */
export function checkTls(tls: unknown): void {
  if (!isObject(tls)) throw new TypeError(`tls must be an object such as { key, cert }; got ${show(tls)}`);
  const { key, cert, pfx, SNICallback, passphrase } = tls as TlsOptions;
  if (pfx !== undefined || SNICallback !== undefined) return;
  if (key === undefined || cert === undefined) {
    const names = Object.keys(tls).join(", ");
    throw new TypeError(`tls needs key and cert, or pfx; got ${names === "" ? "neither" : names}`);
  }
  // Several keys or certificates are for who knows what they do.
  if (Array.isArray(key) || Array.isArray(cert)) return;
  const certificate = readPem("cert", () => new X509Certificate(cert));
  const privateKey = readPem("key", () => createPrivateKey({ key, ...(passphrase !== undefined && { passphrase }) }));
  if (!certificate.checkPrivateKey(privateKey)) throw new TypeError("tls.key is not the key of tls.cert");
}

function readPem<Result>(name: string, read: () => Result): Result {
  try {
    return read();
  } catch (error) {
    throw new TypeError(`tls.${name} cannot be read: ${(error as Error).message}`, { cause: error });
  }
}
