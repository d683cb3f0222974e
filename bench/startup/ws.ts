/** A server with `ws`. */
import { report } from "./report.ts";

const startMs = performance.now();
const { WebSocketServer } = await import("ws");
const importedMs = performance.now();
new WebSocketServer({ host: "127.0.0.1", port: 0 }).on("listening", () => report(startMs, importedMs));
