/** What the soak prints: a line for each sample while it runs, then the checks of each server as a table. */
import { digits, table } from "../shared/format.ts";
import { type Soak, type TimedSample, WARM_UP_SHARE } from "./result.ts";
import { checksOf, failuresOf, MEMORIES, type Memory, memorySlope, slopeText } from "./verdict.ts";

const MIB = 2 ** 20;

export function sampleLine(sample: TimedSample): string {
  const { minutes, heapBytes, externalBytes, residentBytes, connections, topics, listeners, timers, accepted } = sample;
  return `  ${minutes.toFixed(2)} min  heap ${digits(heapBytes / MIB)}  external ${digits(externalBytes / MIB)}  ` +
    `RSS ${digits(residentBytes / MIB)} MiB  connections ${connections}  topics ${topics}  listeners ${listeners}  ` +
    `timers ${timers ?? "–"}  accepted ${accepted}`;
}

export function nameOf({ runtime, version, subject, leak }: Soak): string {
  const server = subject === "bare" ? "a bare upgrade without SpaceNode" : "SpaceNode";
  return `${runtime} ${version}, ${server}${leak ? `, which leaks ${leak}` : ""}`;
}

/** How the growth goes on: the slopes of the thirds of the time after the warm-up. */
function thirds(soak: Soak): string {
  const bounds = [WARM_UP_SHARE, 0.5, 0.75, 1];
  const parts = (Object.keys(MEMORIES) as Memory[]).map((memory) => {
    const slopes = bounds.slice(0, -1).map((from, index) => memorySlope(soak, memory, from, bounds[index + 1]));
    return `${memory} ${slopes.map((slope) => slope ? slopeText(slope) : "–").join(", ")}`;
  });
  return `Each third after the warm-up, MiB a minute: ${parts.join("; ")}`;
}

function summary({ traffic, cpuShare, samples, heartbeat }: Soak): string {
  const last = samples.at(-1)!;
  return `${digits(traffic.sent)} messages sent, ${digits(traffic.messages)} received, ${digits(last.accepted)} ` +
    `connections accepted, ${digits(traffic.bursts)} slow readers, ${digits(100 * cpuShare)} % of a core; heartbeat: ` +
    `${digits(heartbeat.pings)} Pings in ${digits(heartbeat.seconds)} s for ${digits(heartbeat.cpuMs)} ms of CPU`;
}

/** The checks of one soak, those that fail in words as well. */
export function report(soak: Soak): string {
  const checks = checksOf(soak);
  const rows = checks.map(({ name, figure, bound, holds }) => [name, figure, bound, holds ? "ok" : "FAILED"]);
  const failed = failuresOf(soak);
  const verdict = failed.length === 0
    ? `All ${checks.length} checks hold.`
    : `${failed.length} of ${checks.length} checks failed: ${failed.join("; ")}.`;
  const reasons = soak.traffic.reasons.map((reason) => `  the load: ${reason}\n`).join("");
  return `${nameOf(soak)}\n${summary(soak)}\n${thirds(soak)}\n${table([["", "figure", "bound", ""], ...rows])}\n` +
    `${reasons}${verdict}`;
}
