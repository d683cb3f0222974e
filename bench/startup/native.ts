/** The server that Deno and Bun bring. */
import { report } from "./report.ts";

interface Native {
  Deno?: { serve(options: { hostname: string; port: number; onListen(): void }, handler: () => Response): unknown };
  Bun?: { serve(options: { hostname: string; port: number; fetch(): Response; websocket: object }): unknown };
}

const startMs = performance.now();
const { Deno, Bun } = globalThis as Native;
const place = { hostname: "127.0.0.1", port: 0 };
const refuse = (): Response => new Response("WebSocket only", { status: 426 });
Deno?.serve({ ...place, onListen: () => report(startMs, startMs) }, refuse);
if (Bun) {
  Bun.serve({ ...place, fetch: refuse, websocket: { message() {} } });
  report(startMs, startMs);
}
