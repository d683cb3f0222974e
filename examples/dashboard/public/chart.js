/** The chart of one tile, and the figures above it: those of now, or of the moment that the pointer is at. */

import uPlot from "./uplot.js";
import { axisLabel, format, timeOfDay } from "./units.js";

const SPAN_SECONDS = 120;
const STEPS = [1, 1.6, 2, 3, 4, 6, 8, 10];

const style = getComputedStyle(document.documentElement);
const colour = (name) => style.getPropertyValue(`--${name}`);

export class Chart {
  #element;
  #moment;
  #figures;
  #unit;
  #plot;
  #points = [];
  /** The time of the point that was chosen by keyboard. */
  #chosenAt;

  constructor(tile) {
    this.#element = tile.querySelector(".chart");
    this.#moment = tile.querySelector(".moment");
    this.#figures = [...tile.querySelectorAll("[data-figure]")].map((element) => ({
      element,
      name: element.dataset.figure,
      unit: element.dataset.unit,
      label: element.previousElementSibling.textContent,
      hasLine: element.previousElementSibling.classList.contains("line"),
    }));
    this.#unit = this.#figures[0].unit;
    this.#plot = this.#makePlot();
    new ResizeObserver(() => this.#plot.setSize(this.#size())).observe(this.#element);
    this.#element.addEventListener("keydown", (event) => this.#pressed(event));
    this.#element.addEventListener("blur", () => this.#chosenAt && this.#choose(undefined));
  }

  /** Shows other points, the newest last. */
  show(points) {
    this.#points = points;
    const now = points.at(-1)?.at;
    this.#plot.setData([
      points.map(({ at }) => (at - now) / 1_000),
      ...this.#lines().map(({ name }) => points.map((point) => point[name] ?? null)),
    ]);
    if (this.#chosenAt !== undefined) this.#moveCursor();
    this.#showFigures();
  }

  /** Draws again, in other colours. */
  redraw() {
    this.#plot.redraw();
  }

  #lines() {
    return this.#figures.filter(({ hasLine }) => hasLine);
  }

  #size() {
    return { width: this.#element.clientWidth, height: this.#element.clientHeight };
  }

  #makePlot() {
    const floor = Number(this.#element.dataset.floor);
    const range = (_plot, _min, max) => [0, roundUp(Math.max(floor, (max ?? 0) * 1.04))];
    const line = (_line, i) => ({
      stroke: () => colour(`line-${i + 1}`),
      fill: this.#lines().length === 1 ? () => colour("area") : undefined,
      width: 1.75,
      points: { show: false },
    });
    const axis = {
      side: 1,
      size: 60,
      gap: 8,
      font: `12px ${style.fontFamily}`,
      stroke: () => colour("muted"),
      splits: (_plot, _axis, min, max) => [min, (min + max) / 2, max],
      values: (_plot, values) => values.map((value) => axisLabel(value, this.#unit)),
      grid: { stroke: () => colour("grid"), width: 1 },
      ticks: { show: false },
    };
    const cursor = {
      y: false,
      drag: { x: false, y: false },
      points: { size: 9, width: 2, stroke: () => colour("surface"), fill: (_plot, i) => colour(`line-${i}`) },
      sync: { key: "dashboard", setSeries: false },
    };
    const options = {
      ...this.#size(),
      padding: [10, 0, 8, 0],
      legend: { show: false },
      cursor,
      scales: { x: { time: false, range: [-SPAN_SECONDS, 0] }, y: { range } },
      axes: [{ show: false }, axis],
      series: [{}, ...this.#lines().map(line)],
      hooks: { setCursor: [() => this.#showFigures()] },
    };
    return new uPlot(options, [[], ...this.#lines().map(() => [])], this.#element);
  }

  #showFigures() {
    const chosen = this.#plot?.cursor.idx;
    const point = this.#points[chosen ?? this.#points.length - 1] ?? {};
    const isNow = chosen === null || chosen === undefined;
    this.#moment.textContent = isNow || point.at === undefined ? "" : timeOfDay(point.at);
    for (const { element, name, unit } of this.#figures) {
      const [number, unitName] = format(point[name], unit);
      if (element.dataset.text === number + unitName) continue;
      element.dataset.text = number + unitName;
      element.textContent = number;
      if (unitName !== "") {
        element.append(Object.assign(document.createElement("small"), { textContent: ` ${unitName}` }));
      }
    }
  }

  #pressed(event) {
    const last = this.#points.length - 1;
    const from = this.#plot.cursor.idx ?? last;
    const to = {
      ArrowLeft: from - 1,
      ArrowRight: from + 1,
      PageDown: from - 10,
      PageUp: from + 10,
      Home: 0,
      End: last,
    };
    if (event.key !== "Escape" && !(event.key in to)) return;
    event.preventDefault();
    this.#choose(event.key === "Escape" ? undefined : this.#points[Math.min(last, Math.max(0, to[event.key]))]);
  }

  /** Chooses a point, for a screen reader too, or none. */
  #choose(point) {
    this.#chosenAt = point?.at;
    this.#moveCursor();
    const figures = this.#figures.map(({ name, unit, label }) =>
      `${label} ${format(point?.[name], unit).join(" ").trim()}`
    );
    const age = point === undefined ? 0 : (point.at - this.#points.at(-1).at) / 1_000;
    this.#element.ariaValueNow = String(Math.round(age));
    this.#element.ariaValueText = point === undefined ? "now" : [timeOfDay(point.at), ...figures].join(", ");
  }

  /** Puts the cursor of all charts on the chosen point, or takes it away. */
  #moveCursor() {
    const i = this.#points.findIndex(({ at }) => at === this.#chosenAt);
    const left = i === -1 ? -10 : this.#plot.valToPos(this.#plot.data[0][i], "x");
    this.#plot.setCursor({ left, top: i === -1 ? -10 : 1 }, true, true);
  }
}

/** The next number above whose half is a number with one digit or two. */
function roundUp(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return STEPS.find((step) => step * power >= value) * power;
}
