/** The report of the bench of the brokers, and the tables that are printed. */
import type { ClientName } from "../peers/broker.ts";
import { digits, percent, span, table } from "../shared/format.ts";
import type { Machine, Runtime, RuntimeName } from "../shared/machine.ts";
import { clients } from "./clients.ts";
import { type FanResult, PROCESSES } from "./fan.ts";
import { type BrokerFigures, type BrokerSample, type BrokerTimes, BURST, type Crossing } from "./measure-client.ts";

export interface BrokerResult extends BrokerFigures {
  runtime: RuntimeName;
  client: ClientName;
  samples: BrokerSample[];
}

export interface BrokerReport {
  date: string;
  machine: Machine;
  payloadBytes: number;
  rounds: number;
  times: BrokerTimes;
  results: BrokerResult[];
  fans: FanResult[];
  failures: { runtime: RuntimeName; client: ClientName; reason: string }[];
}

function micros(value: number | undefined): string {
  return value === undefined ? "" : `${digits(value)} µs`;
}

function latency(ms: number | undefined): string {
  return ms === undefined ? "" : span(ms);
}

function crossingRow(label: string, crossing: Crossing): string[] {
  const { perSecond, publisherMicros, subscriberMicros, brokerMicros, brokerShare } = crossing;
  const share = brokerShare === undefined ? "" : percent(brokerShare);
  return [
    `  ${label}`,
    digits(perSecond),
    micros(publisherMicros),
    micros(subscriberMicros),
    micros(brokerMicros),
    share,
  ];
}

export function brokerTables({ results, times, payloadBytes }: BrokerReport, runtime: Runtime): string {
  const rows = clients.flatMap(({ name, label }) => {
    const result = results.find((each) => each.runtime === runtime.name && each.client === name);
    return result ? { label, ...result } : [];
  });
  if (rows.length === 0) return `${runtime.name} ${runtime.version}: nothing could be measured`;
  const blank = Array<string>(5).fill("");
  const crossings = [
    ["", "messages/s", "CPU publisher", "CPU subscriber", "CPU broker", "broker busy"],
    [`${times.pairs} topics, 1 message of ${payloadBytes} B in flight in each`, ...blank],
    ...rows.map(({ label, single }) => crossingRow(label, single)),
    [`the same in bursts of ${BURST}`, ...blank],
    ...rows.map(({ label, bursts }) => crossingRow(label, bursts)),
    ["1 message in flight in each, topics with a history", ...blank],
    ...rows.map(({ label, appendedSingle }) => crossingRow(label, appendedSingle)),
    [`the same in bursts of ${BURST}`, ...blank],
    ...rows.map(({ label, appendedBursts }) => crossingRow(label, appendedBursts)),
  ];
  const latencyRows = [
    ["latency of a lone message", "here p50", "p99", "across p50", "p99", "added p50", "p99"],
    ...rows.map(({ label, latency: latencies }) => [
      `  ${label}`,
      latency(latencies.localP50Ms),
      latency(latencies.localP99Ms),
      latency(latencies.remoteP50Ms),
      latency(latencies.remoteP99Ms),
      latency(latencies.addedP50Ms),
      latency(latencies.addedP99Ms),
    ]),
  ];
  const memory = rows.flatMap(({ label, kept }) => {
    return kept.bytes === undefined
      ? []
      : `\n  ${label}: a message of a history takes ${digits(kept.bytes)} B of memory`;
  });
  return `${runtime.name} ${runtime.version}\n${table(crossings)}\n\n${table(latencyRows)}\n${memory.join("")}`;
}

/** The CPU time of each server for a message, by the number of subscribers. */
export function fanTable({ fans, payloadBytes }: Pick<BrokerReport, "fans" | "payloadBytes">): string {
  const rows = [...new Set(fans.map(({ daemon }) => daemon))].map((daemon) => [
    daemon,
    ...PROCESSES.map((processes) =>
      micros(fans.find((fan) => fan.daemon === daemon && fan.processes === processes)?.brokerMicros)
    ),
  ]);
  const head = `CPU broker for a message of ${payloadBytes} B, by subscribers`;
  return table([[head, ...PROCESSES.map(String)], ...rows]);
}
