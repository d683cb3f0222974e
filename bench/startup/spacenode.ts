/** An app of SpaceNode with one route, from the files that users of the runtime get. */
import { report } from "./report.ts";

const entry = "Deno" in globalThis ? "../../mod.ts" : "../../dist/mod.js";

const startMs = performance.now();
const { createApp } = await import(entry) as typeof import("../../mod.ts");
const importedMs = performance.now();
const app = await createApp({ logger: false });
app.ws("/", (socket) => void socket.on("message", (data) => socket.send(data)));
await app.listen({ port: 0, host: "127.0.0.1" });
report(startMs, importedMs);
