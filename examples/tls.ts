/**
 * TLS: with a key and a certificate, the app speaks https and wss. KEY and CERT are the paths of the two files. Without
 * them, this program makes a certificate for localhost with openssl, and browsers warn of it. Start this program and
 * open the address that it prints:
 *
 *     node examples/tls.ts        (or: deno run -A …, bun …)
 *
 * To try: in the console of the browser, connect with `new WebSocket("wss://localhost:3443/echo")`.
 */

import { execFileSync } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { createApp } from "../mod.ts";

const app = await createApp({ tls: await readCertificate(), signals: true });

app.get("/", () => "This page came over https.\n");
app.ws("/echo", (socket) => {
  socket.on("message", (data) => socket.send(data));
});

await app.listen(Number(process.env.PORT ?? 3443));
console.log(`Secure: ${app.url} and ${app.url.replace("https", "wss")}/echo`);

async function readCertificate(): Promise<{ key: Buffer; cert: Buffer }> {
  const { KEY, CERT } = process.env;
  if (KEY !== undefined && CERT !== undefined) return { key: await readFile(KEY), cert: await readFile(CERT) };
  const folder = await mkdtemp(join(tmpdir(), "certificate-"));
  const [key, cert] = [join(folder, "key.pem"), join(folder, "cert.pem")];
  const what = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-days", "7"];
  execFileSync("openssl", ["req", "-x509", "-newkey", "rsa:2048", "-nodes", ...what, "-keyout", key, "-out", cert], {
    stdio: "ignore",
  });
  try {
    return { key: await readFile(key), cert: await readFile(cert) };
  } finally {
    await rm(folder, { recursive: true });
  }
}
