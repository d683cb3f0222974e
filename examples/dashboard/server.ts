/**
 * A live page with the figures of an app: `mountDashboard` adds it to any app. To take it into yours, copy this folder
 * without `demo.ts`, install `uplot`, and import "spacenode" instead of "../../mod.ts".
 */

import { readFile } from "node:fs/promises";
import type { App, AppRequest, WsOrigins } from "../../mod.ts";
import { Figures } from "./figures.ts";

/** The files of the page, by their names in its address. The chart library comes from node_modules. */
const FILES: Record<string, URL> = {
  "": new URL("public/index.html", import.meta.url),
  "dashboard.js": new URL("public/dashboard.js", import.meta.url),
  "chart.js": new URL("public/chart.js", import.meta.url),
  "feed.js": new URL("public/feed.js", import.meta.url),
  "units.js": new URL("public/units.js", import.meta.url),
  "style.css": new URL("public/style.css", import.meta.url),
  "icon.svg": new URL("public/icon.svg", import.meta.url),
  "uplot.js": new URL(import.meta.resolve("uplot/dist/uPlot.esm.js")),
  "uplot.css": new URL(import.meta.resolve("uplot/dist/uPlot.min.css")),
};

const CONTENT_TYPES: Record<string, string> = {
  html: "text/html; charset=utf-8",
  css: "text/css; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  svg: "image/svg+xml",
};

const HEADERS = {
  "cache-control": "no-cache",
  // The page loads everything from this server. Nothing on it can be a script, whatever the figures contain.
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
};

/** Where the dashboard is, and who may see it. */
export interface DashboardOptions {
  /**
   * Tells whether a request may see the figures. It is asked for the page, for its files and for the WebSocket. There
   * is no default, because the figures are not for everybody.
   */
  readonly isAllowed: (req: AppRequest) => boolean | Promise<boolean>;
  /** The web pages that may connect; default: `"same-origin"`. */
  readonly wsOrigins?: WsOrigins;
  /** The path of the page, without a slash at its end; default: `"/dashboard"`. */
  readonly path?: string;
}

/**
 * Adds the page and its WebSocket to an app. Call it before the app listens. The dashboard ends when the app closes.
 *
 * @throws TypeError if the app has a service `dashboard` already
 */
export function mountDashboard<Services extends object>(app: App<Services>, options: DashboardOptions): void {
  const { isAllowed, wsOrigins = "same-origin", path = "/dashboard" } = options;
  // With a broker, topics reach all processes. Each process publishes its own figures, so the name has the app's id.
  const topic = `dashboard/${app.id}`;
  const figures = new Figures(app, (report) => {
    if (app.subscribers(topic) > 0) app.publish(topic, JSON.stringify(report));
  });
  app.service("dashboard", figures);

  // Pages send nothing, so a message of more than one byte closes the connection.
  app.ws(`${path}/live`, { wsOrigins, upgrade: isAllowed, maxMessageBytes: 1 }, (socket) => {
    socket.send(JSON.stringify(figures.history));
    socket.subscribe(topic);
  });

  // The addresses in the page are relative to a path that ends in a slash.
  app.get(path, () => new Response(null, { status: 308, headers: { location: `${path.split("/").at(-1)}/` } }));
  for (const [name, file] of Object.entries(FILES)) {
    app.get(`${path}/${name}`, async (req) => {
      if (!await isAllowed(req)) return new Response("The dashboard is not for everybody.\n", { status: 403 });
      const extension = file.pathname.slice(file.pathname.lastIndexOf(".") + 1);
      return new Response(await readFile(file), {
        headers: { ...HEADERS, "content-type": CONTENT_TYPES[extension] },
      });
    });
  }
}
