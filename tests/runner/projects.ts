/**
 * Which files of tests share a process. A process of its own costs a file about a quarter of a second: the process
 * starts, and evaluates vitest and the source anew. Most files do not need that. Vitest calls a set of files with the
 * same options a project.
 */
import { globSync, readFileSync } from "node:fs";
import type { TestProjectInlineConfiguration } from "vitest/config";

type TestOptions = NonNullable<TestProjectInlineConfiguration["test"]>;

/**
 * What a file says that needs a process of its own. It measures the memory, the time or the handles of the process,
 * listens to the events of the process, or replaces or watches what all files use: modules, globals and their methods.
 * A file that is not found in this way, and leaves another global behind, fails by `globals.ts`.
 */
const OWN_PROCESS = new RegExp(
  [
    /support\/memory\.ts|\b(cpuUsage|memoryUsage|getActiveResourcesInfo)\b/,
    /\bprocess\.(on|once|off|kill|exit|emit|chdir)\b|\bprocess\.env[.[][^=;]* = |delete process\.env/,
    // The adapter of Hono for Node replaces `Request` and `Response`.
    /@hono\/node-server/,
    /\bvi\.(mock|doMock|stubGlobal|stubEnv|resetModules)\b|\bvi\.spyOn\(([A-Z]|globalThis\b|performance\b|process\b)/,
  ].map(({ source }) => source).join("|"),
);

/** True for the text of a file whose tests may not run in the process of other files. */
export function needsOwnProcess(text: string): boolean {
  return OWN_PROCESS.test(text) || (text.includes("vi.useFakeTimers") && !text.includes("vi.useRealTimers"));
}

/** The projects for the files of some patterns. Both have the same options, except for the process. */
export function projectsOf(
  options: TestOptions,
  include: readonly string[],
  exclude: readonly string[],
): TestProjectInlineConfiguration[] {
  const alone = globSync(include, { exclude }).filter((path) => needsOwnProcess(readFileSync(path, "utf8")));
  return [
    { test: { ...options, name: "alone", include: alone } },
    {
      test: {
        ...options,
        name: "together",
        include: [...include],
        exclude: [...exclude, ...alone],
        isolate: false,
        setupFiles: ["tests/runner/globals.ts"],
      },
    },
  ];
}
