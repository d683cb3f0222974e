/**
 * The charts: one SVG for each runtime, with a panel for each cell that has one. The servers are sorted, and the limit
 * is a line. The colours have a medium brightness and the background is transparent, so that a chart can be read on
 * white and on black.
 */
import { type EChartsOption, init } from "echarts";
import { digits, span, times } from "../shared/format.ts";
import type { RuntimeName } from "../shared/machine.ts";
import { isLevel } from "../shared/scatter.ts";
import { cells } from "./cells.ts";
import { LIMIT, OURS } from "./peers.ts";
import { advantage, find, type Report, type Result, type Row, rowsOf, unitOf } from "./results.ts";
import { scatterOf } from "./scatter.ts";

const TEXT = "#7a838c";
const OUR_COLOUR = "#e2682a";
const PEER_COLOUR = "#7c9cc4";
const FONT = "system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif";

const WIDTH = 860;
const COLUMNS = 2;
const MARGIN = 12;
const LABEL_WIDTH = 132;
const VALUE_WIDTH = 122;
const HEADING = 46;
const PANEL_TITLE = 40;
const PANEL_GAP = 16;
const BAR = 22;
const FOOTING = 30;

/** The part of a chart that shows one cell. */
interface Panel {
  title: string;
  bars: { label: string; figure: number; isOurs: boolean; note: string }[];
  limit: { figure: number; note: string } | undefined;
}

function panelsOf(results: Result[], runtime: RuntimeName): Panel[] {
  const shown = cells.filter(({ id, charts }) => charts !== "none" && find(results, runtime, OURS, id));
  return shown.map(({ id, title, charts }) => {
    const rows = rowsOf(results, runtime, id);
    if (charts === "latency") return latencyPanel(title, rows);
    const scatter = scatterOf(results, runtime, id);
    const bars = rows.filter(({ peer }) => peer !== LIMIT).map((row) => {
      // SpaceNode at another level is in our colour, and compared with SpaceNode at its own level.
      const isOurs = row.peer.startsWith(OURS);
      const ratio = row.peer === OURS ? undefined : advantage(results, row);
      const standing = ratio !== undefined && isLevel(ratio, scatter) ? "level" : times(ratio);
      const note = `${digits(row.figure)} ${unitOf(id)}  ${standing}`.trimEnd();
      return { label: row.label, figure: row.figure, isOurs, note };
    });
    const limit = rows.find(({ peer }) => peer === LIMIT)?.figure;
    return { title, bars, limit: limit === undefined ? undefined : { figure: limit, note: `raw ${digits(limit)}` } };
  });
}

/**
 * The panel of the latency cell: the median of the round trips as a bar, and beside it in words their 99th percentile.
 */
function latencyPanel(title: string, rows: Row[]): Panel {
  const bars = rows.flatMap(({ peer, label, p50Ms, p99Ms }) =>
    p50Ms === undefined || p99Ms === undefined || peer === LIMIT ? [] : {
      label,
      figure: p50Ms,
      isOurs: peer === OURS,
      note: `${span(p50Ms)}, p99 ${span(p99Ms)}`,
    }
  );
  const limit = rows.find(({ peer }) => peer === LIMIT)?.p50Ms;
  return {
    title: `${title}: p50`,
    bars: bars.sort((left, right) => left.figure - right.figure),
    limit: limit === undefined ? undefined : { figure: limit, note: `raw ${span(limit)}` },
  };
}

/** The parts of the options of echarts to which each panel adds its own. */
type Part = { title: object[]; grid: object[]; xAxis: object[]; yAxis: object[]; series: object[] };

function draw(part: Part, panel: Panel, left: number, top: number, width: number): void {
  const { title, bars, limit } = panel;
  const index = part.grid.length;
  const highest = Math.max(...bars.map(({ figure }) => figure), limit?.figure ?? 0);
  part.title.push({
    text: title,
    left,
    top,
    padding: 0,
    textStyle: { color: TEXT, fontFamily: FONT, fontSize: 13, fontWeight: 600 },
  });
  part.grid.push({
    left: left + LABEL_WIDTH,
    top: top + PANEL_TITLE,
    width: width - LABEL_WIDTH - VALUE_WIDTH,
    height: bars.length * BAR,
    containLabel: false,
  });
  part.xAxis.push({ gridIndex: index, type: "value", show: false, min: 0, max: highest });
  part.yAxis.push({
    gridIndex: index,
    type: "category",
    inverse: true,
    data: bars.map(({ label }) => label),
    axisLine: { show: false },
    axisTick: { show: false },
    axisLabel: { color: TEXT, fontFamily: FONT, fontSize: 12, interval: 0 },
  });
  part.series.push({
    type: "bar",
    xAxisIndex: index,
    yAxisIndex: index,
    barWidth: 14,
    labelLayout: { x: left + width - VALUE_WIDTH + 8, verticalAlign: "middle" },
    data: bars.map(({ figure, isOurs, note }) => ({
      value: figure,
      itemStyle: { color: isOurs ? OUR_COLOUR : PEER_COLOUR, borderRadius: 2 },
      label: {
        show: true,
        position: "right",
        formatter: note,
        color: isOurs ? OUR_COLOUR : TEXT,
        fontFamily: FONT,
        fontSize: 12,
        fontWeight: isOurs ? 700 : 400,
      },
    })),
    ...(limit !== undefined && {
      markLine: {
        silent: true,
        symbol: "none",
        data: [{ xAxis: limit.figure }],
        lineStyle: { color: TEXT, type: [4, 3], width: 1.2 },
        label: {
          formatter: limit.note,
          position: "start",
          color: TEXT,
          fontFamily: FONT,
          fontSize: 11,
          distance: 3,
        },
      },
    }),
  });
}

/** The chart of one runtime as SVG text; undefined when nothing was measured on that runtime. */
export function chart({ results, machine, date }: Report, runtime: RuntimeName): string | undefined {
  const panels = panelsOf(results, runtime);
  if (panels.length === 0) return undefined;
  const part: Part = { title: [], grid: [], xAxis: [], yAxis: [], series: [] };
  const panelWidth = (WIDTH - MARGIN * (COLUMNS + 1)) / COLUMNS;
  let top = HEADING;
  for (let first = 0; first < panels.length; first += COLUMNS) {
    const row = panels.slice(first, first + COLUMNS);
    row.forEach((panel, column) => draw(part, panel, MARGIN + column * (panelWidth + MARGIN), top, panelWidth));
    top += PANEL_TITLE + Math.max(...row.map(({ bars }) => bars.length)) * BAR + PANEL_GAP;
  }
  const version = `${runtime[0].toUpperCase()}${runtime.slice(1)} ${machine.versions[runtime]}`;
  const heading = {
    text: `${version}: server CPU for a message; shorter is better`,
    left: MARGIN,
    top: 10,
    padding: 0,
    textStyle: { color: TEXT, fontFamily: FONT, fontSize: 16, fontWeight: 600 },
  };
  const footing = {
    text:
      "×: ratio to SpaceNode's; level: within the scatter · dashed: a bare node:http upgrade that sends raw bytes back · " +
      `${machine.cpu}, ${machine.cores} cores · ${date.slice(0, 10)}`,
    left: MARGIN,
    top: top + 2,
    padding: 0,
    textStyle: { color: TEXT, fontFamily: FONT, fontSize: 11, fontWeight: 400 },
  };
  const picture = init(null, null, { renderer: "svg", ssr: true, width: WIDTH, height: top + FOOTING });
  picture.setOption(
    {
      ...part,
      title: [heading, footing, ...part.title],
      backgroundColor: "transparent",
      animation: false,
    } as EChartsOption,
  );
  const svg = picture.renderToSVGString();
  picture.dispose();
  return svg;
}
