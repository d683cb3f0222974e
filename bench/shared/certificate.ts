/** A certificate for localhost that is made for each run, so that none is kept in the repository and none expires. */
import { execFileSync } from "node:child_process";

/** A private key and its certificate, in PEM. */
export interface Certificate {
  readonly key: string;
  /** The certificate is self-signed: clients use it as their `ca`. */
  readonly cert: string;
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
