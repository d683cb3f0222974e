/** How the tests start a Redis server. */

import type { ServerKind } from "./server-program.ts";

/** A Redis server that writes nothing to disk. */
export const redisServer: ServerKind = {
  name: "redis-server",
  arguments: (port, folder) => [
    ...["--port", String(port), "--bind", "127.0.0.1", "--dir", folder],
    ...["--save", "", "--appendonly", "no", "--daemonize", "no"],
  ],
  ready: /Ready to accept connections/,
};

/** A Redis server with more options on its command line, which prevail. */
export function redisServerWith(...options: readonly string[]): ServerKind {
  return { ...redisServer, arguments: (...where) => [...redisServer.arguments(...where), ...options] };
}
