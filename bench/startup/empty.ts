/** The start of the runtime alone. */
import { report } from "./report.ts";

const startMs = performance.now();
report(startMs, performance.now());
