/** Runs commands and collects their output, for tests of the packages. */

import { execFile } from "node:child_process";

const COMMAND_TIMEOUT_MS = 50_000;

/** The result of a command. */
export interface CommandResult {
  readonly exitCode: number;
  /** Standard output and standard error, in this order. */
  readonly output: string;
}

/** Runs a command in the folder `cwd`. Rejects when the command cannot run, takes 50 s, or is ended by a signal. */
export function run(command: readonly string[], cwd: string, env: NodeJS.ProcessEnv = {}): Promise<CommandResult> {
  const [executable, ...args] = command;
  const maxBuffer = 16 * 1024 * 1024;
  const options = { cwd, maxBuffer, timeout: COMMAND_TIMEOUT_MS, env: { ...process.env, NO_COLOR: "1", ...env } };
  return new Promise((resolve, reject) => {
    const child = execFile(executable!, args, options, (error, stdout, stderr) => {
      if (error?.killed) reject(new Error(`${command.join(" ")} was stopped after ${COMMAND_TIMEOUT_MS / 1000} s`));
      else if (child.exitCode === null) reject(error);
      else resolve({ exitCode: child.exitCode, output: stdout + stderr });
    });
  });
}

/** Runs a command that must succeed, and returns its output. Rejects with the output when the exit code is not 0. */
export async function mustRun(command: readonly string[], cwd: string): Promise<string> {
  const { exitCode, output } = await run(command, cwd);
  if (exitCode !== 0) throw new Error(`${command.join(" ")} ended with exit code ${exitCode}:\n${output}`);
  return output;
}
