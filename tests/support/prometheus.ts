/** Prometheus, for tests that let it collect the figures of apps. */

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ServerKind } from "./server-program.ts";

/**
 * A Prometheus that collects from servers on this machine once in 200 ms. It writes its configuration into its folder.
 *
 * @param ports the ports of the servers, each with the path `/metrics`
 */
export function prometheus(ports: readonly number[]): ServerKind {
  return {
    name: "prometheus",
    arguments(port, folder) {
      const config = join(folder, "prometheus.json");
      const targets = ports.map((each) => `127.0.0.1:${each}`);
      // JSON is YAML too.
      writeFileSync(
        config,
        JSON.stringify({
          global: { scrape_interval: "200ms", scrape_timeout: "200ms" },
          scrape_configs: [{ job_name: "spacenode", static_configs: [{ targets }] }],
        }),
      );
      return [
        `--config.file=${config}`,
        `--web.listen-address=127.0.0.1:${port}`,
        `--storage.tsdb.path=${folder}`,
      ];
    },
    ready: /Server is ready to receive web requests/,
  };
}
