/** What a run of the chaos is asked for, as `run.ts` passes it on to the tests. */

/** A runtime whose server is tested. */
export interface ServerRuntime {
  /** The name on the command line. */
  readonly id: string;
  /** What starts a file under this runtime. */
  readonly command: readonly string[];
}

export interface ChaosOptions {
  /** The seed of the first round. Each further round has the next number. */
  readonly seed: number;
  /** The number of rounds in each setting. */
  readonly rounds: number;
  readonly runtimes: readonly ServerRuntime[];
}

/** The name of the variable that carries the options. */
export const VARIABLE = "SPACENODE_CHAOS";

/** Reads the options from the environment. A plain run of vitest has none, and gets one round on Node. */
export function optionsOf(env: NodeJS.ProcessEnv): ChaosOptions {
  const given = env[VARIABLE];
  if (given !== undefined) return JSON.parse(given) as ChaosOptions;
  return { seed: 1, rounds: 1, runtimes: [{ id: "node", command: ["node"] }] };
}
