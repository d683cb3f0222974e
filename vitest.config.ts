import { defineConfig } from "vitest/config";
import { projectsOf } from "./tests/runner/projects.ts";
import { SlowFilesFirst } from "./tests/runner/sequencer.ts";
import { WORKERS } from "./tests/runner/workers.ts";

/** The options of every set of files. */
export const options = {
  // Vitest's fork pool needs an IPC channel that Bun does not have; its workers are Bun threads instead.
  pool: process.versions.bun ? "threads" as const : "forks" as const,
  // Threads share the memory of a process, which some tests measure. `npm test` runs as many processes of Bun instead,
  // and each takes a share of the files.
  maxWorkers: process.versions.bun ? 1 : WORKERS,
  allowOnly: false,
  expect: { requireAssertions: true },
  tags: [{
    name: "heavy",
    description: "Runs code so often that mutation testing, which counts its steps, leaves it out.",
  }],
  testTimeout: 20_000,
  hookTimeout: 20_000,
};

export default defineConfig({
  test: {
    ...options,
    sequence: { sequencer: SlowFilesFirst },
    projects: projectsOf(
      options,
      ["tests/**/*.test.ts"],
      ["tests/chaos/**", "tests/docs/**", "tests/e2e/**", "tests/fuzz/**", "tests/packages/**"],
    ),
    // For `npm run coverage`, which needs Node, redis-server and nats-server. Code that runs in child processes only is
    // not counted, nor are the branches that only Deno or Bun takes.
    coverage: {
      provider: "v8",
      include: ["src/**/*.ts"],
      reporter: ["text", "html"],
      // A little under what was measured: the command fails when a change leaves more of the source untested.
      thresholds: { statements: 97, branches: 95, functions: 97, lines: 98 },
    },
  },
});
