/** The check of the options of TLS, and how a renewal changes them. */

import { createPrivateKey } from "node:crypto";
import { expect, test } from "vitest";
import { checkTls, renewTls, type TlsOptions } from "../../../src/app/server/tls.ts";
import { certificate, makeCertificate } from "../../support/certificate.ts";

const { key, cert } = certificate();
const other = makeCertificate();
const pfx = Buffer.from("read by the runtime");
const secret = { type: "pkcs8", format: "pem", cipher: "aes-256-cbc", passphrase: "open sesame" } as const;
const encryptedKey = createPrivateKey(key).export(secret) as string;

test.each<[string, TlsOptions]>([
  ["a key and its certificate", { key, cert }],
  ["both as bytes", { key: Buffer.from(key), cert: Buffer.from(cert) }],
  ["a pfx alone", { pfx }],
  ["an SNICallback alone", { SNICallback() {} }],
  ["a pfx beside a pair that the runtime ignores", { pfx, key: other.key, cert }],
  ["arrays, from which the runtime chooses", { key: [other.key, key], cert: [other.cert, cert] }],
  ["an array of keys", { key: [other.key, key], cert }],
  ["an array of certificates", { key, cert: [other.cert, cert] }],
  ["an encrypted key with its passphrase", { key: encryptedKey, cert, passphrase: "open sesame" }],
])("%s is taken", (_name, tls) => {
  expect(() => checkTls(tls)).not.toThrow();
});

test.each<[string, TlsOptions, RegExp]>([
  ["an encrypted key without its passphrase", { key: encryptedKey, cert }, /tls\.key cannot be read/],
  ["a wrong passphrase", { key: encryptedKey, cert, passphrase: "sesame" }, /tls\.key cannot be read/],
  ["nothing", {}, /tls needs key and cert, or pfx; got neither/],
])("%s is an error", (_name, tls, message) => {
  expect(() => checkTls(tls)).toThrow(message);
});

test.each<[string, TlsOptions, object, TlsOptions]>([
  ["another pair", { key, cert }, other, other],
  ["a pfx instead of a pair", { key, cert }, { pfx }, { pfx }],
  ["a pair instead of a pfx", { pfx }, other, other],
  ["authorities alone, and the pair stays", { key, cert }, { ca: "ca" }, { key, cert, ca: "ca" }],
  ["a revocation list alone, and the pfx stays", { pfx }, { crl: "list" }, { pfx, crl: "list" }],
  [
    "another pair, and the passphrase and other options stay",
    { key: encryptedKey, cert, passphrase: "open sesame", minVersion: "TLSv1.3" },
    other,
    { ...other, passphrase: "open sesame", minVersion: "TLSv1.3" },
  ],
  [
    "a pair with a passphrase",
    { ...other, ca: "ca" },
    { key: encryptedKey, cert, passphrase: "open sesame" },
    { key: encryptedKey, cert, passphrase: "open sesame", ca: "ca" },
  ],
])("a renewal may be %s", (_name, before, renewal, after) => {
  const given = (options: TlsOptions): object =>
    Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  expect(given(renewTls(before, renewal))).toEqual(after);
});
