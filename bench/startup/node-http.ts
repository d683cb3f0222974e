/** A server of node:http without WebSocket. */
import { report } from "./report.ts";

const startMs = performance.now();
const { createServer } = await import("node:http");
const importedMs = performance.now();
createServer().listen(0, "127.0.0.1", () => report(startMs, importedMs));
