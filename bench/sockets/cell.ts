/** What a cell of the bench is, and how cells are named. */
import type { Workload } from "../load/workload.ts";

export interface Cell extends Workload {
  title: string;
  /** The cell from which the row of a peer is taken that cannot do what this cell measures. */
  elsewhere?: string;
  /** Memory is measured without the engine's spare pages, and beside as many connections that were open before. */
  trimmed?: boolean;
  /**
   * The processes of the server, which share one port with `reusePort`. No process is pinned to a core in such a cell,
   * not even if it is a single one; undefined for one process on a core of its own.
   */
  processes?: number;
  /** True when the cell is part of `--quick`. */
  quick: boolean;
  /** What the cell's panel in the charts shows, if it has one. */
  charts: "figure" | "latency" | "none";
}

export const KIB: number = 1024;
export const MIB: number = 1024 * KIB;

export function sizeName(bytes: number): string {
  return bytes >= MIB ? `${bytes / MIB} MiB` : bytes >= KIB ? `${bytes / KIB} KiB` : `${bytes} B`;
}

export function idSize(bytes: number): string {
  return bytes >= MIB ? `${bytes / MIB}m` : bytes >= KIB ? `${bytes / KIB}k` : `${bytes}`;
}
