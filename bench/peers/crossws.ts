/**
 * crossws on Node, over the `ws` that it bundles. On Deno and Bun it wraps their own servers, which are peers
 * themselves.
 */
import type { Peer } from "crossws";
import crossws from "crossws/adapters/node";
import { listenAndAnnounce, makeServer } from "./http-server.ts";
import { LIMIT_BYTES } from "./support.ts";

const clients = new Set<Peer>();

const adapter = crossws({
  idleTimeout: 0,
  serverOptions: { perMessageDeflate: false, maxPayload: LIMIT_BYTES },
  hooks: {
    open(peer): void {
      if (peer.request.url.endsWith("/fan")) clients.add(peer);
    },
    close: (peer) => void clients.delete(peer),
    message(peer, message): void {
      const data = message.rawData as string | Uint8Array;
      if (clients.has(peer)) {
        for (const client of clients) if (client.websocket.readyState === 1) client.send(data);
      } else {
        peer.send(data);
      }
    },
  },
});

const server = makeServer();
server.on("upgrade", adapter.handleUpgrade);
listenAndAnnounce(server);
