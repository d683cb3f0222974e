import { execFile } from "node:child_process";

const COMMAND_TIMEOUT_MS = 50_000;

export interface CommandResult {
  readonly exitCode: number;
  /** Standard output and standard error, in this order. */
  readonly output: string;
}

/** Runs a command in a folder and collects what it says. */
export function run(command: readonly string[], cwd: string): Promise<CommandResult> {
  const [executable, ...args] = command;
  const options = { cwd, timeout: COMMAND_TIMEOUT_MS, env: { ...process.env, NO_COLOR: "1" } };
  return new Promise((resolve, reject) => {
    const child = execFile(executable!, args, options, (error, stdout, stderr) => {
      if (child.exitCode === null) reject(error);
      else resolve({ exitCode: child.exitCode, output: stdout + stderr });
    });
  });
}

/** The same, for a command that has to succeed before anything can be tested. */
export async function mustRun(command: readonly string[], cwd: string): Promise<string> {
  const { exitCode, output } = await run(command, cwd);
  if (exitCode !== 0) throw new Error(`${command.join(" ")} ended with exit code ${exitCode}:\n${output}`);
  return output;
}
