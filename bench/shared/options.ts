/** Options that the commands of the bench have in common. */
import process from "node:process";
import { findRuntime, type Runtime, type RuntimeName } from "./machine.ts";

/** Ends the program with exit code 2 and a message about a wrong option. */
export function refuse(message: string): never {
  console.error(message);
  process.exit(2);
}

/**
 * The items of a comma-separated option; undefined when it is not given. An unknown item ends the program: otherwise a
 * misspelt name would give an empty run.
 */
export function chosen(option: string, value: string | undefined, known: string[]): Set<string> | undefined {
  const names = value?.split(",");
  const wrong = names?.find((name) => !known.includes(name));
  if (wrong !== undefined) refuse(`--${option} ${wrong}: expected one of ${[...new Set(known)].join(", ")}`);
  return names && new Set(names);
}

/** The value of an option that is a number above 0. */
export function amount(option: string, value: string | undefined, usual: number): number {
  const number = Number(value ?? usual);
  return number > 0 ? number : refuse(`--${option} ${value}: expected a number above 0`);
}

/** The runtimes that `--runtime` names, or all three; those that are not installed are left out. */
export function chosenRuntimes(value: string | undefined): Runtime[] {
  const known: RuntimeName[] = ["node", "deno", "bun"];
  const names = chosen("runtime", value, known);
  return known.filter((name) => !names || names.has(name)).flatMap((name) => {
    const runtime = findRuntime(name);
    if (!runtime) console.error(`${name} is not installed and is left out`);
    return runtime ?? [];
  });
}
