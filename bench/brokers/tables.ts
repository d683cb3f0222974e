/** The report of the bench of the brokers, and the two tables that are printed for each runtime. */
import type { ClientName } from "../peers/broker.ts";
import { digits, percent, span, table } from "../shared/format.ts";
import type { Machine, Runtime, RuntimeName } from "../shared/machine.ts";
import { clients } from "./clients.ts";
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
  return `${runtime.name} ${runtime.version}\n${table(crossings)}\n\n${table(latencyRows)}`;
}
