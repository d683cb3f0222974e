/** The text that a run prints: a line for each cell while it runs, then a table for each runtime. */
import { digits, percent, table } from "../shared/format.ts";
import type { RuntimeName } from "../shared/machine.ts";
import { ratioText } from "../shared/scatter.ts";
import type { Cell } from "./cell.ts";
import { OURS } from "./peers.ts";
import { advantage, cellOf, isGeneratorBound, labelOf, type Report, type Result, rowsOf, unitOf } from "./results.ts";
import { scatterOf } from "./scatter.ts";

/** The figures that only some cells have: bytes on the wire with compression, and the memory of an idle connection. */
function particulars(row: Result): string {
  const { toServerBytes, toClientBytes, heapKiB, kernelKiB } = row;
  const kernel = kernelKiB === undefined ? "" : `, kernel ${digits(kernelKiB)} KiB`;
  if (heapKiB !== undefined) return `heap ${digits(heapKiB)} KiB${kernel}`;
  const isCompressed = (cellOf(row.cell)?.deflate ?? "off") !== "off";
  if (!isCompressed || toServerBytes === undefined || toClientBytes === undefined) return "";
  return `${digits(toServerBytes)} B in, ${digits(toClientBytes)} B out`;
}

export function cellLine({ results, failures }: Report, runtime: RuntimeName, cell: Cell): string {
  const scatter = scatterOf(results, runtime, cell.id);
  const parts = rowsOf(results, runtime, cell.id).map((result) => {
    const spread = result.spread === undefined ? "" : ` ±${percent(result.spread)}`;
    const ratio = result.peer === OURS ? "" : ` ${ratioText(advantage(results, result), scatter)}`;
    const bound = isGeneratorBound(result) ? " (rate set by the generator)" : "";
    const figure = `${digits(result.figure)} ${unitOf(cell.id)}`;
    const waits = cell.charts === "latency" ? ` p50 ${digits(result.p50Ms!)} p99 ${digits(result.p99Ms!)} ms` : "";
    return `${result.label} ${figure}${spread}${waits}${ratio}${bound}`;
  });
  const failed = failures.filter((failure) => failure.runtime === runtime && failure.cell === cell.id);
  const faults = new Set(failed.map(({ peer, reason }) => `${labelOf(runtime, peer)} FAILED: ${reason}`));
  return `  ${cell.id.padEnd(16)} ${[...parts, ...faults].join("  |  ")}`;
}

export function runtimeTable({ results, machine }: Report, runtime: RuntimeName): string {
  const rows = results.filter((result) => result.runtime === runtime);
  const lines = [["", "server CPU", "±", "× ours", "messages/s", "p50 ms", "p99 ms", "CPU server", "generator", ""]];
  for (const cell of new Set(rows.map((row) => row.cell))) {
    lines.push([cellOf(cell)?.title ?? cell, ...Array<string>(lines[0].length - 1).fill("")]);
    const scatter = scatterOf(results, runtime, cell);
    for (const row of rowsOf(results, runtime, cell)) {
      lines.push([
        `  ${row.label}`,
        `${digits(row.figure)} ${unitOf(cell)}`,
        row.spread === undefined ? "" : percent(row.spread),
        row.peer === OURS ? "" : ratioText(advantage(results, row), scatter),
        row.perSecond === undefined ? "" : digits(row.perSecond),
        row.p50Ms === undefined ? "" : digits(row.p50Ms),
        row.p99Ms === undefined ? "" : digits(row.p99Ms),
        row.serverShare === undefined ? "" : percent(row.serverShare),
        row.generatorShare === undefined ? "" : percent(row.generatorShare) + (isGeneratorBound(row) ? " !" : ""),
        particulars(row),
      ]);
    }
  }
  const note = rows.some(isGeneratorBound)
    ? "\n  ! the generator set the rate; the server was not busy all the time"
    : "";
  return `${runtime} ${machine.versions[runtime]}\n${table(lines)}${note}`;
}
