/** Ends a program of this folder: it says how long its parts took, and exits. */
import process from "node:process";

/** The parts of a start in ms, without the start of the runtime itself. */
export interface Parts {
  importMs: number;
  /** From the end of the import until the server listens. */
  listenMs: number;
}

/**
 * @param startMs when the first line of the program ran
 * @param importedMs when everything was imported
 */
export function report(startMs: number, importedMs: number): void {
  const parts: Parts = { importMs: importedMs - startMs, listenMs: performance.now() - importedMs };
  process.stdout.write(`${JSON.stringify(parts)}\n`, () => process.exit(0));
}
