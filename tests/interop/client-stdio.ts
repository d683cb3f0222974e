/** The standard input and output of a client program: commands come in, events go out. */

import { createInterface } from "node:readline";
import { type ClientEvent, type Command, toLine } from "./messages.ts";

/** Passes every command to `handle`, in order. The program exits when its standard input ends. */
export function onCommand(handle: (command: Command) => void): void {
  createInterface({ input: process.stdin })
    .on("line", (line) => handle(JSON.parse(line) as Command))
    .on("close", () => process.exit());
}

/** Writes an event to the standard output. */
export function report(event: ClientEvent): void {
  process.stdout.write(toLine(event));
}
