import { createInterface } from "node:readline";
import { type ClientEvent, type Command, toLine } from "./messages.ts";

/** Hands every command to the client program, in order. The program ends with its standard input. */
export function onCommand(handle: (command: Command) => void): void {
  createInterface({ input: process.stdin })
    .on("line", (line) => handle(JSON.parse(line) as Command))
    .on("close", () => process.exit());
}

export function report(event: ClientEvent): void {
  process.stdout.write(toLine(event));
}
