/**
 * CORS: pages of other origins may read the responses of controllers, and send requests that need a preflight. The
 * origins stand in ORIGINS, separated by commas. Start this program:
 *
 *     node examples/cors.ts        (or: deno run -A …, bun …)
 *
 * To try: open the console of the browser on http://localhost:5173, or another origin that ORIGINS names, and run
 * `await fetch("http://localhost:3000/notes", { method: "PUT", body: '"hello"', headers: { "X-Name": "Ada" } })`.
 */

import process from "node:process";
import { type Controller, createApp, HttpError, type PathParams } from "../mod.ts";

const origins = new Set((process.env.ORIGINS ?? "http://localhost:5173").split(","));
const app = await createApp({ signals: true, wsOrigins: [...origins, "same-origin"] });
const notes: string[] = [];

// A preflight asks before the request itself: may a page of this origin send this method with these headers?
app.options("/*", (req) => {
  const headers = corsHeaders(req.headers.origin);
  if (headers["Access-Control-Allow-Origin"] !== undefined) {
    headers["Access-Control-Allow-Methods"] = "GET, PUT";
    headers["Access-Control-Allow-Headers"] = "Content-Type, X-Name";
    headers["Access-Control-Max-Age"] = "600";
  }
  return new Response(null, { status: 204, headers });
});

app.get("/notes", cors(() => notes));
app.put(
  "/notes",
  cors(async (req) => {
    const note = await req.json();
    if (typeof note !== "string") throw new HttpError(400, "A note is a text");
    notes.push(note);
    return { count: notes.length };
  }),
);

await app.listen(Number(process.env.PORT ?? 3000));
console.log(`Pages of ${[...origins].join(", ")} may use ${app.url}/notes`);

/** The headers that let a page of this origin read a response. Without them, the browser keeps it from the page. */
function corsHeaders(origin: string | undefined): Record<string, string> {
  // The response depends on the origin: a cache must not give it to pages of another one.
  const vary = { Vary: "Origin" };
  return origin !== undefined && origins.has(origin) ? { ...vary, "Access-Control-Allow-Origin": origin } : vary;
}

/** Adds these headers to all that a controller returns or throws. */
function cors<Services, Params = PathParams>(controller: Controller<Services, Params>): Controller<Services, Params> {
  return async (req, services) => {
    const headers = corsHeaders(req.headers.origin);
    try {
      const result = await controller(req, services);
      const response = result instanceof Response ? result : Response.json(result);
      for (const [name, value] of Object.entries(headers)) response.headers.set(name, value);
      return response;
    } catch (error) {
      if (!(error instanceof HttpError)) throw error;
      throw new HttpError(error.status, error.message, { ...error.headers, ...headers });
    }
  };
}
