/** A certificate for localhost that is made for each run, so that none is kept in the repository and none expires. */

import { execFileSync } from "node:child_process";
import { connect as connectTls, createSecureContext, type SecureContext, type TLSSocket } from "node:tls";
import { onTestFinished } from "vitest";

/** A private key and its certificate, in PEM. */
export interface Certificate {
  readonly key: string;
  /** The certificate is self-signed: clients use it as their `ca`. */
  readonly cert: string;
}

let made: Certificate | undefined;

/** The certificate that all tests of a file share. */
export function certificate(): Certificate {
  return made ??= makeCertificate();
}

/** Makes a new certificate. */
export function makeCertificate(): Certificate {
  const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  const names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"];
  const command = ["req", "-x509", ...curve, ...names, "-days", "1", "-keyout", "-", "-out", "-"];
  const both = execFileSync("openssl", command, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
  const [key, cert] = both.match(/-----BEGIN [^-]+-----[^-]+-----END [^-]+-----\n/g) ?? [];
  if (key === undefined || cert === undefined) throw new Error(`openssl made no certificate:\n${both}`);
  return { key, cert };
}

let context: { readonly ca: string; readonly secureContext: SecureContext } | undefined;

/**
 * The context of clients that trust the given certificate. They share it, because a context takes more than a
 * millisecond of CPU time, and some tests open thousands of connections.
 */
export function trusting(ca: string): SecureContext {
  if (context?.ca !== ca) context = { ca, secureContext: createSecureContext({ ca }) };
  return context.secureContext;
}

/** Opens a TLS connection to this machine that trusts the given certificate and no other one. */
export function connectSecurely(port: number, ca: string = certificate().cert): TLSSocket {
  const stream = connectTls({ port, host: "127.0.0.1", servername: "localhost", secureContext: trusting(ca) });
  stream.on("error", () => {});
  onTestFinished(() => void stream.destroy());
  return stream;
}
