/** The option `tls`: its type and its check. */
import { createPrivateKey, X509Certificate } from "node:crypto";
import type { ServerOptions } from "node:https";
import { show } from "../common/show.ts";
import { checkNames, isObject } from "../common/validate.ts";

/**
 * The options of a TLS server: `cert`, `key`, and all other options that a server of `node:https` takes. Either `key`
 * and `cert`, or `pfx`, or `SNICallback` has to be set.
 */
export type TlsOptions = ServerOptions;

/**
 * Checks the certificate and the key before the app listens. Some runtimes would listen with wrong ones, and only fail
 * when a client connects.
 *
 * @throws TypeError that names the wrong option
 */
export function checkTls(tls: unknown): void {
  if (!isObject(tls)) throw new TypeError(`tls must be an object such as { key, cert }; got ${show(tls)}`);
  const { key, cert, pfx, SNICallback, passphrase } = tls as TlsOptions;
  if (pfx !== undefined || SNICallback !== undefined) return;
  if (key === undefined || cert === undefined) {
    const names = Object.keys(tls).join(", ");
    throw new TypeError(`tls needs key and cert, or pfx; got ${names === "" ? "neither" : names}`);
  }
  // Arrays of keys or certificates are left to the runtime, which chooses a pair for each client.
  if (Array.isArray(key) || Array.isArray(cert)) return;
  const certificate = readPem("cert", () => new X509Certificate(cert));
  const privateKey = readPem("key", () => createPrivateKey({ key, ...(passphrase !== undefined && { passphrase }) }));
  if (!certificate.checkPrivateKey(privateKey)) throw new TypeError("tls.key is not the key of tls.cert");
}

/** The argument of `app.renewTls`: the options of {@link TlsOptions} that have to do with certificates. */
export type TlsRenewal = Pick<TlsOptions, "key" | "cert" | "pfx" | "passphrase" | "ca" | "crl">;

const RENEWAL_NAMES = ["key", "cert", "pfx", "passphrase", "ca", "crl"];

/**
 * Puts a new certificate in the place of the one in the options of a server. The other options stay as they were.
 *
 * @throws TypeError that names the wrong option
 */
export function renewTls({ key, cert, pfx, ...others }: TlsOptions, renewal: TlsRenewal): TlsOptions {
  if (!isObject(renewal)) throw new TypeError(`renewTls takes an object such as { key, cert }; got ${show(renewal)}`);
  checkNames("renewTls", renewal, RENEWAL_NAMES);
  const hasPair = renewal.key !== undefined || renewal.cert !== undefined || renewal.pfx !== undefined;
  const renewed = { ...others, ...(!hasPair && { key, cert, pfx }), ...renewal };
  checkTls(renewed);
  return renewed;
}

function readPem<Result>(name: string, read: () => Result): Result {
  try {
    return read();
  } catch (error) {
    throw new TypeError(`tls.${name} cannot be read: ${(error as Error).message}`, { cause: error });
  }
}
