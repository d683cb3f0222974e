/** The chart of a soak as SVG: the memory of each server over time, with the regression line of its RSS and heap. */
import { type EChartsOption, init } from "echarts";
import { nameOf } from "./report.ts";
import { type Soak, WARM_UP_SHARE } from "./result.ts";
import { type Memory, memorySlope, pointsOf, slopeText } from "./verdict.ts";

const TEXT = "#7a838c";
const COLOURS: Record<Memory, string> = {
  RSS: "#7c9cc4",
  "RSS outside the heap": "#9a8bc0",
  heap: "#e2682a",
  external: "#6aa57e",
};
const FONT = "system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif";
const WIDTH = 860;
const PANEL = 240;
const TITLE = 50;
const HEADING = 44;
const FOOTING = 40;

const text = (fontSize: number, fontWeight = 400): object => ({ color: TEXT, fontFamily: FONT, fontSize, fontWeight });

/** The chart of all soaks, one below the other. */
export function chart(soaks: readonly Soak[], footing: string): string {
  const height = HEADING + soaks.length * PANEL + FOOTING;
  const picture = init(null, null, { renderer: "svg", ssr: true, width: WIDTH, height });
  const heading = {
    text: "Memory under traffic: MiB over minutes",
    left: 12,
    top: 10,
    textStyle: text(16, 600),
  };
  const titles = soaks.map((soak, index) => ({
    text: nameOf(soak),
    subtext: `${slopesOf(soak)} MiB a minute`,
    left: 12,
    top: HEADING + index * PANEL,
    textStyle: text(13, 600),
    subtextStyle: text(11),
    itemGap: 3,
  }));
  const axis = (gridIndex: number): object => ({
    gridIndex,
    type: "value",
    axisLabel: text(11),
    splitLine: { lineStyle: { color: TEXT, opacity: 0.2 } },
  });
  picture.setOption(
    {
      title: [heading, ...titles, { text: footing, left: 12, top: height - 28, textStyle: text(11) }],
      legend: { right: 12, top: 12, itemGap: 26, data: Object.keys(COLOURS), textStyle: text(11) },
      grid: soaks.map((_, index) => ({
        left: 56,
        width: WIDTH - 80,
        top: HEADING + index * PANEL + TITLE,
        height: PANEL - TITLE - 34,
      })),
      xAxis: soaks.map(({ plan }, index) => ({ ...axis(index), max: plan.minutes, splitLine: { show: false } })),
      yAxis: soaks.map((_, index) => ({ ...axis(index), min: 0 })),
      series: soaks.flatMap((soak, index) =>
        (Object.keys(COLOURS) as Memory[]).flatMap((memory) => linesOf(soak, memory, index))
      ),
      backgroundColor: "transparent",
      animation: false,
    } as EChartsOption,
  );
  const svg = picture.renderToSVGString();
  picture.dispose();
  return svg;
}

function slopesOf(soak: Soak): string {
  return (Object.keys(COLOURS) as Memory[]).map((memory) => {
    const slope = memorySlope(soak, memory);
    return `${memory} ${slope ? slopeText(slope) : "–"}`;
  }).join(", ");
}

/** The samples of a kind of memory, and the regression line behind the warm-up. */
function linesOf(soak: Soak, memory: Memory, index: number): object[] {
  const slope = memorySlope(soak, memory);
  const { minutes } = soak.plan;
  const line = {
    type: "line",
    xAxisIndex: index,
    yAxisIndex: index,
    symbol: "none",
    itemStyle: { color: COLOURS[memory] },
  };
  const fit = slope && [WARM_UP_SHARE * minutes, minutes].map((minute) => [minute, slope.at(minute)]);
  return [
    { ...line, name: memory, lineStyle: { width: 1.5 }, data: pointsOf(soak, memory) },
    { ...line, lineStyle: { width: 1, type: [4, 3], color: TEXT }, data: fit ?? [] },
  ];
}
