/** What the bench runs on: the machine and its cores, the runtimes, and the versions of all that is measured. */
import { execFileSync, spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { availableParallelism, cpus, loadavg, release, totalmem, type } from "node:os";
import process from "node:process";

export type RuntimeName = "node" | "deno" | "bun";

export interface Runtime {
  name: RuntimeName;
  version: string;
  /** The program, and the arguments that come before the file. */
  command: string[];
}

/** The folder of this checkout. */
export const root: URL = new URL("../..", import.meta.url);
const binaries = new URL("node_modules/.bin/", root).pathname;

const launchers: Record<RuntimeName, string[]> = {
  node: ["--expose-gc"],
  deno: ["run", "--quiet", "--allow-all", "--no-check", "--v8-flags=--expose-gc"],
  bun: ["run"],
};

/**
 * The runtime's own executable. The command that npm puts on the PATH may be a script that starts the executable in
 * another process, and the CPU time of that script would be measured.
 */
function executable(name: RuntimeName): { path: string; version: string } | undefined {
  const script = `console.log(JSON.stringify([process.execPath, process.versions.${name}]))`;
  const args = name === "deno" ? ["eval", `import process from "node:process";${script}`] : ["-e", script];
  const env = { ...process.env, PATH: `${binaries}:${process.env.PATH}`, NO_COLOR: "1" };
  const { status, stdout } = spawnSync(name, args, { env, encoding: "utf8" });
  if (status !== 0) return undefined;
  const [path, version] = JSON.parse(stdout) as [string, string];
  return { path, version };
}

/** The runtime of this name, from node_modules or from the PATH; undefined when it is not installed. */
export function findRuntime(name: RuntimeName): Runtime | undefined {
  const found = executable(name);
  return found && { name, version: found.version, command: [found.path, ...launchers[name]] };
}

export interface Cores {
  generator: number;
  server: number;
}

/**
 * One core for the server and one for the generator, physical cores of their own if possible; undefined where processes
 * cannot be pinned.
 */
export function chooseCores(): Cores | undefined {
  if (availableParallelism() < 2 || spawnSync("taskset", ["-c", "0", "true"]).status !== 0) return undefined;
  const server = cpus().length - 1;
  return { generator: siblingsOf(server).includes(0) && server > 1 ? 1 : 0, server };
}

/** The logical cores that share a physical core with this one. */
function siblingsOf(core: number): number[] {
  try {
    const list = readFileSync(`/sys/devices/system/cpu/cpu${core}/topology/thread_siblings_list`, "utf8");
    return list.trim().split(",").flatMap((range) => {
      const [first, last = first] = range.split("-").map(Number);
      return Array.from({ length: last - first + 1 }, (_, index) => first + index);
    });
  } catch {
    return [core];
  }
}

/** The command, wrapped so that it runs on one core and may open as many files as the system allows. */
export function pinned(command: string[], core: number | undefined): string[] {
  const pin = core === undefined ? [] : ["taskset", "-c", String(core)];
  return ["sh", "-c", 'ulimit -n "$(ulimit -H -n)"; exec "$@"', "sh", ...pin, ...command];
}

function packageVersion(name: string): string {
  const require = createRequire(import.meta.url);
  const paths = require.resolve.paths(name) ?? [];
  for (const path of paths) {
    try {
      return (JSON.parse(readFileSync(`${path}/${name}/package.json`, "utf8")) as { version: string }).version;
    } catch {
      // The package is not in this folder; the next folder up may have it.
    }
  }
  return "not installed";
}

/** The commit that is checked out in this folder. */
export function findCommit(folder: URL): string {
  try {
    return execFileSync("git", ["rev-parse", "--short", "HEAD"], { cwd: folder, encoding: "utf8" }).trim();
  } catch {
    return "unknown";
  }
}

export interface Machine {
  cpu: string;
  cores: number;
  memoryGiB: number;
  system: string;
  pinned: boolean;
  /** The one-minute load average before the run: how busy other programs kept the machine. */
  loadBefore: number;
  commit: string;
  versions: Record<string, string>;
}

/** @param packages the npm packages whose versions are part of the description */
export function describeMachine(runtimes: Runtime[], packages: string[], cores: Cores | undefined): Machine {
  return {
    cpu: cpus()[0].model.trim(),
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    system: `${type()} ${release()}`,
    pinned: cores !== undefined,
    loadBefore: loadavg()[0],
    commit: findCommit(root),
    versions: {
      ...Object.fromEntries(runtimes.map(({ name, version }) => [name, version])),
      ...Object.fromEntries(packages.map((name) => [name, packageVersion(name)])),
    },
  };
}
