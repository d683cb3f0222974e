/** What a run of the bench measures, read from the command line. */
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import process from "node:process";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { findCommit, type Runtime } from "../shared/machine.ts";
import { amount, chosen, chosenRuntimes, refuse } from "../shared/options.ts";
import { type Checkout, checkOut } from "../shared/revision.ts";
import type { Cell } from "./cell.ts";
import { cells } from "./cells.ts";
import type { Times } from "./measure-cell.ts";
import { AGAIN, BASE, basePeers, canDo, OURS, type Peer, peers, secondRuns } from "./peers.ts";

const HELP = `npm run bench -- [options]

Measures SpaceNode beside other servers, or beside another checkout of itself.

  --quick             the most telling cells in one short round
  --against REV       beside another revision of this repository, such as main: it is built in a temporary folder.
                      Without --only, the cells are those of --quick
  --base FOLDER       beside the checkout in this folder
  --runtime NAMES     node, deno, bun; by default all that are installed
  --only CELLS        these cells, such as echo-32-16,fan-loop-16
  --peers NAMES       these servers, such as spacenode,ws,raw
  --rounds N          how often each server is measured: 3, or 6 beside a base, or 1 with --quick
  --seconds N         how long each measurement takes: 2, or 0.25 with --quick
  --warm-up N         how long each server is driven before that: 1, or 0.3 with --quick
  --lowest            shows the figure of the lowest round instead of the median
  --out FOLDER        where the results and charts are written; by default only those of the whole bench are written
  --help              shows this text

Names are separated by commas. bench/README.md says what the cells measure, and how to read the tables.`;

export interface Settings {
  /** The checkout beside which SpaceNode is measured. */
  base: Checkout | undefined;
  runtimes: Runtime[];
  cells: Cell[];
  /** The peers that take part on this runtime in this cell. */
  peersOf(runtime: Runtime, cell: Cell): Peer[];
  rounds: number;
  times: Times;
  lowest: boolean;
  /** The folder that `--out` names. */
  out: string | undefined;
  /** True when every cell of every peer is measured at length. */
  whole: boolean;
}

/** The checkout that `--against` or `--base` names, if there is one. */
function baseOf(against: string | undefined, folder: string | undefined): Checkout | undefined {
  if (against !== undefined) return revision(against);
  return folder === undefined ? undefined : checkoutIn(folder);
}

function checkoutIn(folder: string): Checkout {
  const url = pathToFileURL(`${resolve(folder)}/`);
  if (!existsSync(new URL("mod.ts", url))) refuse(`--base ${folder}: expected a folder with a mod.ts`);
  return { folder: url, commit: findCommit(url) };
}

function revision(name: string): Checkout {
  try {
    return checkOut(name);
  } catch (error) {
    return refuse(`--against ${name}: ${(error as Error).message}`);
  }
}

/** Reads the command line. A wrong option ends the program with exit code 2, and `--help` with 0. */
export function readSettings(args: string[]): Settings {
  const { values } = parseArgs({
    args,
    options: {
      quick: { type: "boolean", default: false },
      against: { type: "string" },
      base: { type: "string" },
      runtime: { type: "string" },
      only: { type: "string" },
      peers: { type: "string" },
      rounds: { type: "string" },
      seconds: { type: "string" },
      "warm-up": { type: "string" },
      lowest: { type: "boolean", default: false },
      out: { type: "string" },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    console.log(HELP);
    process.exit(0);
  }
  if (values.against !== undefined && values.base !== undefined) {
    refuse("expected either --against or --base, and not both");
  }
  const beside = values.against ?? values.base;
  const quick = values.quick || (values.against !== undefined && values.only === undefined);
  const onlyCells = chosen("only", values.only, cells.map(({ id }) => id));
  const known = [...new Set(peers.map(({ id }) => id)), ...(beside === undefined ? [] : [BASE])];
  const onlyPeers = chosen("peers", values.peers ?? (beside && `${OURS},${BASE}`), known);
  const takesPart = (peer: Peer, runtime: Runtime, cell: Cell): boolean => {
    if (peer.runtime !== runtime.name || !canDo(peer, cell)) return false;
    if (!onlyPeers) return !(quick && peer.slow);
    // The second run is for the scatter of ratios, so that one server alone needs none.
    return peer.id === AGAIN ? onlyPeers.has(OURS) && onlyPeers.size > 1 : onlyPeers.has(peer.id);
  };
  const settings = {
    runtimes: chosenRuntimes(values.runtime),
    cells: cells.filter(({ id, quick: isQuick }) => (onlyCells ? onlyCells.has(id) : isQuick || !quick)),
    // An even number of rounds lets each of the two checkouts go first equally often.
    rounds: amount("rounds", values.rounds, beside ? 6 : quick ? 1 : 3),
    times: {
      seconds: amount("seconds", values.seconds, quick ? 0.25 : 2),
      warmUpSeconds: amount("warm-up", values["warm-up"], quick ? 0.3 : 1),
      idleConnections: quick ? 2_000 : 10_000,
    },
    lowest: values.lowest,
    out: values.out,
    whole: !quick && !onlyCells && !onlyPeers && values.runtime === undefined,
  };
  const base = baseOf(values.against, values.base);
  const all = [...peers, ...(base ? basePeers(base.folder) : []), ...secondRuns];
  return {
    ...settings,
    base,
    peersOf: (runtime, cell) => all.filter((peer) => takesPart(peer, runtime, cell)),
  };
}
