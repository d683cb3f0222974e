/** The HTTP server of a peer that stands on node:http, with TLS where the cell asks for it. */
import { createServer, type Server } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { announce, HOST, place, tls } from "./support.ts";

export function makeServer(): Server {
  return tls ? createTlsServer(tls) : createServer();
}

/** Listens at the place that the runner names, and reports the port to it. */
export function listenAndAnnounce(server: Server): void {
  server.listen({ host: HOST, ...place }, () => announce((server.address() as AddressInfo).port));
}
