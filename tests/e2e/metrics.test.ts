/** What `app.metrics` returns is what Prometheus and promtool take, under every runtime. */

import { execFileSync } from "node:child_process";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { prometheus } from "../support/prometheus.ts";
import { isInstalled, ServerProgram } from "../support/server-program.ts";
import { RUNTIMES, type ServerProcess, startServer } from "./support/server-process.ts";

const SERVER = "tests/e2e/support/metrics-server.ts";
const ROUTE = '/"quoted"/\\/a\nb';

/** A time series that Prometheus has, with its newest value. */
interface Series {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: readonly [time: number, value: string];
}

/**
 * The Prometheus text format of metrics in the OpenMetrics format. promtool reads only that one, in which the comments
 * of a counter have its suffix.
 */
function toPrometheusText(text: string): string {
  const counters = new Set([...text.matchAll(/^# TYPE (\w+) counter$/gm)].map(([, name]) => name));
  return text.replace(/^# UNIT .*\n|^# EOF\n/gm, "")
    .replace(/^(# (?:TYPE|HELP) )(\w+)/gm, (_all, start, name) => start + name + (counters.has(name) ? "_total" : ""));
}

describe.skipIf(!isInstalled(prometheus([])))("with prometheus", () => {
  const servers = new Map<string, ServerProcess>();
  let collector: ServerProgram | undefined;

  beforeAll(async () => {
    const started = await Promise.all(RUNTIMES.map(async (name) => [name, await startServer(name, SERVER)] as const));
    for (const [name, server] of started) servers.set(name, server);
    collector = await ServerProgram.create(prometheus(started.map(([, { port }]) => port)));
    await collector.start();
  });

  afterAll(async () => {
    await collector?.dispose();
    for (const server of servers.values()) await server.stop();
  });

  /** What Prometheus has collected from the server of a runtime, by the name of the metric. */
  async function collected(runtime: string, selector: string): Promise<Series[]> {
    const query = `{instance="127.0.0.1:${servers.get(runtime)!.port}",${selector}}`;
    const url = `http://127.0.0.1:${collector!.port}/api/v1/query?query=${encodeURIComponent(query)}`;
    const { data } = await (await fetch(url)).json() as { data: { result: Series[] } };
    return data.result;
  }

  describe.each(RUNTIMES)("under %s", (runtime) => {
    test("promtool finds no fault in the names and texts", async () => {
      const response = await fetch(`${servers.get(runtime)!.url}/metrics`);
      expect(response.headers.get("content-type")).toBe(
        "application/openmetrics-text; version=1.0.0; charset=utf-8",
      );
      const text = await response.text();
      const input = toPrometheusText(text);
      expect(input).toContain("# TYPE spacenode_closes_total counter\n");
      expect(execFileSync("promtool", ["check", "metrics"], { input, encoding: "utf8", stdio: "pipe" })).toBe("");
    });

    test("Prometheus collects the figures, with every character of a route's path", async () => {
      const up = async (): Promise<string | undefined> => (await collected(runtime, '__name__="up"'))[0]?.value[1];
      await expect.poll(up).toBe("1");
      const series = await collected(runtime, '__name__=~"spacenode_.*"');
      const found = Object.fromEntries(series.map(({ metric, value }) => {
        const { __name__, instance: _instance, job: _job, ...labels } = metric;
        return [[__name__, ...Object.values(labels)].join(" "), Number(value[1])];
      }));
      const { spacenode_start_time_seconds: startedAt, ...rest } = found;
      expect(Math.abs(Date.now() / 1000 - startedAt)).toBeLessThan(600);
      expect(rest).toEqual({
        "spacenode_connections /echo": 1,
        [`spacenode_connections ${ROUTE}`]: 0,
        "spacenode_handshakes_accepted_total /echo": 2,
        [`spacenode_handshakes_accepted_total ${ROUTE}`]: 0,
        "spacenode_handshakes_refused_total 404": 1,
        "spacenode_closes_total 1000": 1,
        "spacenode_messages_received_total /echo": 3,
        [`spacenode_messages_received_total ${ROUTE}`]: 0,
        "spacenode_messages_sent_total /echo": 3,
        [`spacenode_messages_sent_total ${ROUTE}`]: 0,
        "spacenode_received_bytes_total /echo": 3 * 10 + 8,
        [`spacenode_received_bytes_total ${ROUTE}`]: 0,
        "spacenode_sent_bytes_total /echo": 3 * 6 + 4,
        [`spacenode_sent_bytes_total ${ROUTE}`]: 0,
        "spacenode_buffered_bytes /echo": 0,
        [`spacenode_buffered_bytes ${ROUTE}`]: 0,
        spacenode_slow_consumers: 0,
        spacenode_slow_consumers_closed_total: 0,
        spacenode_messages_dropped_total: 0,
        "spacenode_timeouts_total handshake": 0,
        "spacenode_timeouts_total heartbeat": 0,
        "spacenode_timeouts_total message": 0,
        "spacenode_timeouts_total close": 0,
        spacenode_topics: 0,
        spacenode_broker_connected: 1,
        spacenode_broker_messages_pending: 0,
        spacenode_broker_messages_published_total: 1,
        spacenode_broker_messages_received_total: 0,
        spacenode_broker_messages_dropped_total: 0,
        spacenode_history_topics: 0,
        spacenode_history_messages: 0,
        spacenode_history_bytes: 0,
        "spacenode_history_recoveries_total recovered": 0,
        "spacenode_history_recoveries_total lost": 0,
      });
    });
  });
});
