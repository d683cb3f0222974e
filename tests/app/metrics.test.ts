import { describe, expect, test } from "vitest";
import { type AppStats, createApp } from "../../mod.ts";
import { formatMetrics } from "../../src/app/metrics.ts";
import { ask, listeningApp } from "../support/app.ts";
import { read } from "../support/repository.ts";

const TRAFFIC = {
  connections: 1,
  accepted: 2,
  receivedMessages: 3,
  receivedBytes: 4,
  sentMessages: 5,
  sentBytes: 6,
  bufferedBytes: 7,
};

const STATS: AppStats = {
  ...TRAFFIC,
  createdAtMs: 1_500,
  refused: 8,
  refusals: { 403: 3, 404: 5 },
  closes: { 1000: 9, "4000-4999": 10 },
  droppedMessages: 0,
  slowConsumers: { waiting: 11, closed: 12, droppedMessages: 13 },
  timeouts: { handshake: 14, heartbeat: 15, message: 16, close: 17 },
  routes: { "/chat/:room": TRAFFIC },
  topics: 18,
  broker: undefined,
  histories: undefined,
};

/** The lines of one metric. */
function linesOf(text: string, name: string): string[] {
  return text.split("\n").filter((line) => new RegExp(`^(# \\w+ )?spacenode_${name}(_total)?[ {]`).test(line));
}

describe("a metric in the OpenMetrics format", () => {
  const text = formatMetrics(STATS);

  test.each([
    ["that is a gauge", "connections", [
      "# TYPE spacenode_connections gauge",
      "# HELP spacenode_connections WebSocket connections that are open or closing.",
      'spacenode_connections{route="/chat/:room"} 1',
    ]],
    ["that is a counter", "closes", [
      "# TYPE spacenode_closes counter",
      "# HELP spacenode_closes WebSocket connections that have ended, by close code.",
      'spacenode_closes_total{code="1000"} 9',
      'spacenode_closes_total{code="4000-4999"} 10',
    ]],
    ["with a unit", "start_time_seconds", [
      "# TYPE spacenode_start_time_seconds gauge",
      "# UNIT spacenode_start_time_seconds seconds",
      "# HELP spacenode_start_time_seconds When the app was created, in seconds since 1970.",
      "spacenode_start_time_seconds 1.5",
    ]],
  ])("%s", (_kind, name, lines) => {
    expect(linesOf(text, name)).toEqual(lines);
  });

  test("stands there for every figure", () => {
    const values = text.split("\n").filter((line) => line.startsWith("spacenode_")).map((line) =>
      line.split(" ").at(-1)
    );
    const all = [1.5, 1, 2, 3, 5, 9, 10, 3, 5, 4, 6, 7, 11, 12, 13, 14, 15, 16, 17, 18].map(String);
    expect(values).toEqual(all);
  });

  test("of the broker or of histories is left out in an app without them", () => {
    expect(text).not.toMatch(/spacenode_(broker|history)/);
    expect(text).toMatch(/\n# EOF\n$/);
  });

  test("of the broker counts as published only what the broker has taken: a counter never falls", () => {
    const broker = { isConnected: false, published: 10, pending: 3, received: 4, dropped: 5 };
    const lines = formatMetrics({ ...STATS, broker }).match(/^spacenode_broker.*$/gm);
    expect(lines).toEqual([
      "spacenode_broker_connected 0",
      "spacenode_broker_messages_pending 3",
      "spacenode_broker_messages_published_total 7",
      "spacenode_broker_messages_received_total 4",
      "spacenode_broker_messages_dropped_total 5",
    ]);
  });

  test("of histories", () => {
    const histories = { topics: 1, messages: 2, bytes: 3, recovered: 4, lost: 5 };
    expect(formatMetrics({ ...STATS, histories }).match(/^spacenode_history.*$/gm)).toEqual([
      "spacenode_history_topics 1",
      "spacenode_history_messages 2",
      "spacenode_history_bytes 3",
      'spacenode_history_recoveries_total{result="recovered"} 4',
      'spacenode_history_recoveries_total{result="lost"} 5',
    ]);
  });

  test("stands in the table of docs/observability.md, with its type and its label", () => {
    const broker = { isConnected: true, published: 0, pending: 0, received: 0, dropped: 0 };
    const histories = { topics: 0, messages: 0, bytes: 0, recovered: 0, lost: 0 };
    const all = formatMetrics({ ...STATS, broker, histories });
    const types = new Map([...all.matchAll(/^# TYPE (\w+) (\w+)$/gm)].map(([, name, type]) => [name, type]));
    const samples = all.matchAll(/^(spacenode_\w+?)(_total)?(?:\{(\w+)=.*)? [^ ]+$/gm);
    const given = [...samples].map(([, name, suffix = "", label = ""]) =>
      [name + suffix, types.get(name), label].join()
    );
    const rows = read("docs/observability.md").matchAll(/^\| `(spacenode_\w+)` *\| (\w+) *\| (?:`(\w+)`)? *\|/gm);
    expect([...rows].map(([, name, type, label = ""]) => [name, type, label].join())).toEqual([...new Set(given)]);
  });

  test("has the path of a route with its quotes, backslashes and line breaks escaped", () => {
    const routes = { '/"a"\\b\nc': TRAFFIC };
    expect(linesOf(formatMetrics({ ...STATS, routes }), "connections").at(-1)).toBe(
      'spacenode_connections{route="/\\"a\\"\\\\b\\nc"} 1',
    );
  });
});

test("a controller returns app.metrics() as it is", async () => {
  const app = await listeningApp({}, (app) => app.ws("/", () => {}).get("/metrics", () => app.metrics()));
  const { status, headers, body } = await ask(app, "/metrics");
  expect([status, headers["content-type"]]).toEqual([
    200,
    "application/openmetrics-text; version=1.0.0; charset=utf-8",
  ]);
  expect(body).toBe(formatMetrics(app.stats()));
  expect(await app.metrics().text()).toBe(body);
  expect((await ask(app, "/metrics", "HEAD")).headers["content-type"]).toBe(headers["content-type"]);
});

test("strangers cannot add labels: paths without a route, close codes and statuses are bounded", async () => {
  const app = await createApp({ logger: false });
  app.ws("/:any", (socket) => {
    socket.on("message", () => {});
  });
  const linesAfter = async (names: number[]): Promise<number> => {
    for (const name of names) {
      await (await app.inject(`/${name}`)).close(4000 + name);
      await app.inject(`/${name}/none`).catch(() => {});
    }
    return formatMetrics(app.stats()).split("\n").length;
  };
  expect(await linesAfter([3, 4, 5])).toBe(await linesAfter([1]));
  await app.close();
});
