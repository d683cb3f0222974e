/** What a run of Stryker has found, in words. */
import { relative } from "node:path";
import type { MutantResult } from "@stryker-mutator/api/core";

export interface Score {
  readonly name: string;
  /** All that counted: mutants that were ignored, or did not compile, are left out. */
  readonly mutants: number;
  /** Those that a test noticed, or that never ended. */
  readonly killed: number;
}

const KILLED = new Set(["Killed", "Timeout"]);
const SURVIVED = new Set(["Survived", "NoCoverage"]);

export function scoreOf(name: string, results: readonly MutantResult[]): Score {
  const killed = results.filter(({ status }) => KILLED.has(status)).length;
  return { name, killed, mutants: killed + results.filter(({ status }) => SURVIVED.has(status)).length };
}

export function sumOf(scores: readonly Score[]): Score {
  const sum = (of: (score: Score) => number): number => scores.reduce((total, score) => total + of(score), 0);
  return { name: "together", killed: sum(({ killed }) => killed), mutants: sum(({ mutants }) => mutants) };
}

/** One line for each score: the share in percent, rounded down, so that only a file without survivors has 100. */
export function tableOf(scores: readonly Score[]): string {
  return scores.map(({ name, killed, mutants }) => {
    const percent = mutants === 0 ? 100 : Math.floor(killed / mutants * 1000) / 10;
    return `${percent.toFixed(1).padStart(5)} %  ${`${killed} of ${mutants}`.padStart(12)}  ${name}`;
  }).join("\n");
}

/** The place of each survivor, and what stands there instead. */
export function describeSurvivors(results: readonly MutantResult[]): string[] {
  return results.filter(({ status }) => SURVIVED.has(status)).map((mutant) => {
    const { fileName, location, replacement, mutatorName, status } = mutant;
    const place = `${relative(process.cwd(), fileName)}:${location.start.line}:${location.start.column}`;
    const until = location.end.line === location.start.line ? `${location.end.column}` : `line ${location.end.line}`;
    const note = status === "NoCoverage" ? " (no test gets there)" : "";
    return `  ${place} to ${until}: ${mutatorName}: ${replacement?.replace(/\s+/g, " ").slice(0, 100)}${note}`;
  });
}
