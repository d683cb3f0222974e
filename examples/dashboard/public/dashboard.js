/** The start of the page: reports of the server go into the charts and tables. */

import { Chart } from "./chart.js";
import { Feed } from "./feed.js";
import { duration, format } from "./units.js";

const SPAN_MS = 120_000;
const STATES = { connecting: "Connecting", open: "Live" };

const element = (id) => document.getElementById(id);
const charts = [...document.querySelectorAll(".tile")].map((tile) => new Chart(tile));

/** The samples of the last two minutes. The line has a gap where a point has no figures. */
let points = [];
let newest;
let processId;
let countdown;

const feed = new Feed({ state: showState, report: receive });

function receive(report) {
  const { process, samples } = report;
  const begin = samples[0]?.at ?? Infinity;
  points = points.filter(({ at }) => at < begin);
  if (process !== undefined) {
    // The figures from before a restart stay, and those of the new process follow behind a gap.
    if (process.id !== processId && points.length > 0) points.push({ at: points.at(-1).at + 1 });
    processId = process.id;
    element("process").textContent = `${process.name},`;
  }
  // In its first second, a server has no figures yet.
  if (samples.length === 0) return;
  points.push(...samples);
  const last = points.at(-1);
  points = points.filter(({ at }) => at >= last.at - SPAN_MS);
  newest = report;
  if (!document.hidden) draw();
}

function draw() {
  const { routes, stats } = newest;
  element("uptime").textContent = `up ${duration(points.at(-1).at - stats.createdAtMs)}`;
  for (const chart of charts) chart.show(points);
  showRoutes(routes);
  showCounts(stats);
  document.body.classList.remove("empty");
}

// ---- The tables ----------------------------------------------------------------------------------------------------

const COLUMNS = [
  ["Connections", "connections", "count"],
  ["Messages received", "receivedPerSecond", "perSecond"],
  ["Messages sent", "sentPerSecond", "perSecond"],
  ["Bytes received", "receivedBytesPerSecond", "bytesPerSecond"],
  ["Bytes sent", "sentBytesPerSecond", "bytesPerSecond"],
  ["Buffered", "bufferedBytes", "bytes"],
];

function showRoutes(routes) {
  fit(element("routes"), routes.length, () => {
    const row = make("tr", { role: "row" });
    row.append(make("th", { role: "rowheader", scope: "row" }));
    for (const [label] of COLUMNS) {
      const cell = make("td", { role: "cell" });
      cell.dataset.label = label;
      row.append(cell);
    }
    return row;
  });
  for (const [i, route] of routes.entries()) {
    const [path, ...cells] = element("routes").children[i].children;
    write(path, route.path);
    for (const [j, [, name, unit]] of COLUMNS.entries()) {
      write(cells[j], format(route[name], unit).join(" ").trim());
      cells[j].classList.toggle("zero", route[name] === 0);
    }
  }
}

/** What the codes mean that a close of a WebSocket has most often. */
const CODES = {
  1000: "normal",
  1001: "going away",
  1002: "protocol error",
  1005: "without a code",
  1006: "broken off",
  1007: "not UTF-8",
  1008: "policy",
  1009: "too big",
  1011: "server error",
  1012: "restart",
  1013: "too slow",
};

function showCounts({ accepted, refusals, closes, slowConsumers, timeouts, topics, broker, histories }) {
  const groups = [
    ["Handshakes", [
      ["accepted", accepted],
      ...Object.entries(refusals).map(([status, number]) => [`refused with ${status}`, number]),
    ]],
    [
      "Closes",
      Object.entries(closes).map(([code, number]) => [code in CODES ? `${code}, ${CODES[code]}` : code, number]),
    ],
    ["Slow consumers", [
      ["closed", slowConsumers.closed],
      ["messages dropped", slowConsumers.droppedMessages],
    ]],
    ["Time-outs", Object.entries(timeouts)],
  ];
  const now = [["subscribed to now", topics]];
  if (histories) now.push(["messages in histories", histories.messages]);
  if (broker) {
    now.push(["broker", broker.isConnected ? "connected" : "away"], ["messages it did not get", broker.dropped]);
  }
  groups.push(["Topics", now]);
  fit(element("counts"), groups.length, () => {
    const group = make("div");
    group.append(make("h3"), make("dl"));
    return group;
  });
  for (const [i, [title, rows]] of groups.entries()) {
    const [head, list] = element("counts").children[i].children;
    write(head, title);
    fit(list, Math.max(1, rows.length), () => {
      const row = make("div");
      row.append(make("dt"), make("dd"));
      return row;
    });
    for (const [j, [name, value]] of (rows.length === 0 ? [["none yet", ""]] : rows).entries()) {
      const row = list.children[j];
      write(row.firstChild, name);
      write(row.lastChild, typeof value === "number" ? format(value, "count").join("") : value);
      row.classList.toggle("zero", value === 0 || value === "");
    }
  }
}

function make(name, attributes = {}) {
  const made = document.createElement(name);
  for (const [attribute, value] of Object.entries(attributes)) made.setAttribute(attribute, value);
  return made;
}

/** Gives an element so many children. Those that it has stay, so that a text which somebody selects stays selected. */
function fit(parent, count, makeChild) {
  while (parent.children.length > count) parent.lastElementChild.remove();
  while (parent.children.length < count) parent.append(makeChild());
}

function write(target, text) {
  if (target.textContent !== text) target.textContent = text;
}

// ---- The connection ------------------------------------------------------------------------------------------------

function showState(state, retryAt) {
  clearInterval(countdown);
  const wasAway = document.body.classList.contains("away");
  document.body.dataset.connection = state;
  // The class `away` stays as it is during an attempt to reconnect.
  if (state !== "connecting") document.body.classList.toggle("away", state !== "open");
  element("retry").hidden = state !== "waiting";
  element("status-text").textContent = STATES[state] ?? "";
  if (state === "open" && wasAway) element("announcer").textContent = "Connected again";
  if (state !== "waiting") return;
  const count = () => {
    const seconds = Math.max(1, Math.ceil((retryAt - Date.now()) / 1_000));
    element("status-text").textContent = `Reconnecting in ${seconds} s`;
  };
  count();
  countdown = setInterval(count, 1_000);
  if (!wasAway) element("announcer").textContent = "The connection is lost. Trying again.";
}

element("retry").addEventListener("click", () => feed.open());
addEventListener("online", () => feed.check());
document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  feed.check();
  if (newest !== undefined) draw();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  for (const chart of charts) chart.redraw();
});
feed.open();
