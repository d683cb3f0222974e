/** Starts a server as a user does: as a process of its own, under any runtime. */

import { spawn } from "node:child_process";
import { delimiter } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

const START_TIMEOUT_MS = 20_000;
const STOP_TIMEOUT_MS = 10_000;

/** The command line of each runtime, before the script's path. */
const COMMANDS = { node: ["node"], deno: ["deno", "run", "-A"], bun: ["bun"] };

/** The runtimes that a server can be started under. */
export type RuntimeName = keyof typeof COMMANDS;
export const RUNTIMES = Object.keys(COMMANDS) as RuntimeName[];

const ROOT = new URL("../../../", import.meta.url);
const BIN = fileURLToPath(new URL("node_modules/.bin", ROOT));

/** A server that runs. */
export interface ServerProcess {
  /** The address that the server has printed. */
  readonly url: string;
  readonly port: number;
  /**
   * Sends a signal, SIGTERM by default, and resolves to the exit code, which is null when a signal has ended the
   * process. A process that still runs after 10 s is killed.
   */
  stop(signal?: "SIGTERM" | "SIGINT" | "SIGKILL"): Promise<number | null>;
}

/**
 * Starts a server, and resolves once it listens.
 *
 * @param script the path of the server in the repository; it must print its address once it listens
 * @param port passed on as PORT; default: 0, which is any free port
 * @param variables more variables of its environment
 */
export async function startServer(
  runtime: RuntimeName,
  script: string,
  port = 0,
  variables: Record<string, string> = {},
): Promise<ServerProcess> {
  const [command, ...args] = [...COMMANDS[runtime], fileURLToPath(new URL(script, ROOT))];
  const env = { ...process.env, PATH: `${BIN}${delimiter}${process.env.PATH}`, PORT: String(port), ...variables };
  const child = spawn(command!, args, { env, stdio: ["ignore", "pipe", "pipe"] });
  const { promise: exit, resolve: exited } = Promise.withResolvers<number | null>();
  child.once("exit", exited);

  let output = "";
  const { promise: isListening, resolve, reject } = Promise.withResolvers<string>();
  const listen = (chunk: string): void => {
    output += chunk;
    const address = /http:\/\/[^\s]+/.exec(output);
    if (address && output.includes("\n", address.index)) resolve(address[0]);
  };
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", listen);
  const fail = (why: string): void => reject(new Error(`${runtime} ${script} ${why}\n${output}`));
  const timer = setTimeout(() => fail(`printed no address within ${START_TIMEOUT_MS} ms`), START_TIMEOUT_MS);
  child.once("error", (error) => fail(`did not start: ${error.message}`));
  child.once("exit", (code) => fail(`ended with exit code ${code}`));

  const stop: ServerProcess["stop"] = async (signal = "SIGTERM") => {
    if (child.exitCode === null && child.signalCode === null) child.kill(signal);
    const timer = setTimeout(() => child.kill("SIGKILL"), STOP_TIMEOUT_MS);
    const code = await exit;
    clearTimeout(timer);
    return code;
  };
  try {
    const url = await isListening;
    return { url, port: Number(new URL(url).port), stop };
  } catch (error) {
    if (child.pid !== undefined) await stop("SIGKILL");
    throw error;
  } finally {
    clearTimeout(timer);
  }
}
