/** The figures of an app as text in the OpenMetrics format, which Prometheus and the OpenTelemetry collector read. */
import type { AppStats, RouteStats } from "./stats.ts";

/** The media type of the OpenMetrics format, version 1.0. */
export const OPEN_METRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/** Labels and a value. A value that is a boolean counts as 1 or 0. */
type Sample = readonly [value: number | boolean, label?: string, labelValue?: string];

/** Writes the figures in the OpenMetrics format. */
export function formatMetrics(stats: AppStats): string {
  const families: string[] = [];
  const add = (type: "counter" | "gauge", name: string, help: string, samples: readonly Sample[]): void => {
    families.push(family(type, `spacenode_${name}`, help, samples));
  };
  const byRoute = (name: keyof RouteStats): Sample[] =>
    Object.entries(stats.routes).map(([path, route]) => [route[name], "route", path]);
  const byKey = (counts: Readonly<Record<string, number>>, label: string): Sample[] =>
    Object.entries(counts).map(([key, count]) => [count, label, key]);
  const { slowConsumers, timeouts, broker, histories } = stats;

  add("gauge", "start_time_seconds", "When the app was created, in seconds since 1970.", [[stats.createdAtMs / 1000]]);
  add("gauge", "connections", "WebSocket connections that are open or closing.", byRoute("connections"));
  add("counter", "handshakes_accepted", "WebSocket handshakes that were accepted.", byRoute("accepted"));
  add(
    "counter",
    "handshakes_refused",
    "WebSocket handshakes that were refused, by the status of the response.",
    byKey(stats.refusals, "status"),
  );
  add("counter", "closes", "WebSocket connections that have ended, by close code.", byKey(stats.closes, "code"));
  add("counter", "messages_received", "Messages that have come from clients.", byRoute("receivedMessages"));
  add("counter", "messages_sent", "Messages that were sent to clients.", byRoute("sentMessages"));
  add("counter", "received_bytes", "Bytes of frames that have come from clients.", byRoute("receivedBytes"));
  add("counter", "sent_bytes", "Bytes of frames that were sent to clients.", byRoute("sentBytes"));
  add("gauge", "buffered_bytes", "Bytes that wait to be sent to clients.", byRoute("bufferedBytes"));
  add("gauge", "slow_consumers", "Connections with more than highWaterMark waiting.", [[slowConsumers.waiting]]);
  add("counter", "slow_consumers_closed", "Connections closed with 1013 as too slow.", [[slowConsumers.closed]]);
  add("counter", "messages_dropped", "Messages not sent to clients that are too slow.", [
    [slowConsumers.droppedMessages],
  ]);
  add(
    "counter",
    "timeouts",
    "Time limits that have passed: of handshakes, the heartbeat, messages and closes.",
    byKey({ ...timeouts }, "limit"),
  );
  add("gauge", "topics", "Topics with subscribers in this process.", [[stats.topics]]);
  if (broker !== undefined) {
    add("gauge", "broker_connected", "1 while the link to the broker is up, otherwise 0.", [[broker.isConnected]]);
    add("gauge", "broker_messages_pending", "Messages on their way to the broker.", [[broker.pending]]);
    // What is on its way may be dropped yet, and a counter must not fall.
    add("counter", "broker_messages_published", "Messages that the broker has taken.", [
      [broker.published - broker.pending],
    ]);
    add("counter", "broker_messages_received", "Messages that have come from the broker.", [[broker.received]]);
    add("counter", "broker_messages_dropped", "Messages that the broker did not get.", [[broker.dropped]]);
  }
  if (histories !== undefined) {
    add("gauge", "history_topics", "Topics with a history in this process.", [[histories.topics]]);
    add("gauge", "history_messages", "Messages of histories in this process.", [[histories.messages]]);
    add("gauge", "history_bytes", "Memory of the histories in this process.", [[histories.bytes]]);
    add(
      "counter",
      "history_recoveries",
      "Followers that came back: with all that they had missed, or with a loss.",
      byKey({ recovered: histories.recovered, lost: histories.lost }, "result"),
    );
  }
  return `${families.join("")}# EOF\n`;
}

function family(type: "counter" | "gauge", name: string, help: string, samples: readonly Sample[]): string {
  const unit = /_(seconds|bytes)$/.exec(name);
  const lines = [
    `# TYPE ${name} ${type}`,
    ...unit === null ? [] : [`# UNIT ${name} ${unit[1]}`],
    `# HELP ${name} ${help}`,
  ];
  for (const [value, label, labelValue = ""] of samples) {
    const labels = label === undefined ? "" : `{${label}="${escape(labelValue)}"}`;
    lines.push(`${name}${type === "counter" ? "_total" : ""}${labels} ${Number(value)}`);
  }
  return `${lines.join("\n")}\n`;
}

/** Escapes the three characters that a label's value must not have as they are. */
function escape(text: string): string {
  return text.replace(/["\\]/g, "\\$&").replaceAll("\n", "\\n");
}
