/** A registry on this machine that has the package as packed and no other one, for clients that take no file. */

import { createHash } from "node:crypto";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { inject, onTestFinished } from "vitest";
import { root } from "./project.ts";

/** Starts a registry for one test, and returns its URL. */
export async function startRegistry(): Promise<string> {
  const tarball = await readFile(inject("tarball"));
  const manifest = JSON.parse(await readFile(join(root, "package.json"), "utf8"));
  const integrity = `sha512-${createHash("sha512").update(tarball).digest("base64")}`;
  const server = createServer((req, res) => {
    if (req.url === "/spacenode.tgz") return void res.end(tarball);
    if (req.url !== "/spacenode") return void res.writeHead(404).end();
    const versions = { [manifest.version]: { ...manifest, dist: { tarball: `${url}/spacenode.tgz`, integrity } } };
    res.end(JSON.stringify({ name: "spacenode", "dist-tags": { latest: manifest.version }, versions }));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return url;
}
