import { spawn } from "node:child_process";
import { once } from "node:events";

export interface BoundedExit {
  /** Undefined when a signal ended the process. */
  readonly exitCode: number | undefined;
  readonly timedOut: boolean;
}

/** Runs a command on this terminal. When its time is up it is killed, together with every process it has started. */
export async function runBounded(command: string[], env: NodeJS.ProcessEnv, timeoutMs: number): Promise<BoundedExit> {
  const [executable, ...args] = command;
  // A process group of its own, so that vitest's workers can be killed with it.
  const child = spawn(executable!, args, { env, stdio: ["ignore", "inherit", "inherit"], detached: true });
  const kill = (): void => {
    if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, "SIGKILL");
  };
  const interrupt = (): void => {
    kill();
    // A signal reaches every command that runs, and each has to be killed before this process is gone.
    setImmediate(() => process.exit(130));
  };
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    kill();
  }, timeoutMs);
  process.once("SIGINT", interrupt).once("SIGTERM", interrupt);
  try {
    const [exitCode] = (await once(child, "exit")) as [number | null];
    return { exitCode: exitCode ?? undefined, timedOut };
  } finally {
    clearTimeout(timer);
    process.off("SIGINT", interrupt).off("SIGTERM", interrupt);
  }
}
