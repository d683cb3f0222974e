/** How the tests start a NATS server. */

import type { ServerKind } from "./server-program.ts";

/** A NATS server with JetStream. */
export const natsServer: ServerKind = {
  name: "nats-server",
  arguments: (port, folder) => [
    ...["--addr", "127.0.0.1", "--port", String(port), "--jetstream", "--store_dir", folder],
  ],
  ready: /Server is ready/,
};
