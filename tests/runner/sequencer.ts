/**
 * The order in which vitest runs the files of tests: those that take longest come first. Otherwise one of them begins
 * last, and all cores but one wait for its end. Vitest itself knows the times of an earlier run, if there was one, and
 * else takes the size of a file for its time.
 */
import { BaseSequencer, type TestSpecification } from "vitest/node";

/** The files that take much longer than others of their size, the longest first. */
export const slowFiles: readonly string[] = [
  "tests/e2e/chat.test.ts",
  "tests/attacks/strangers.test.ts",
  "tests/e2e/history-cluster.test.ts",
  "tests/e2e/chat-offline.test.ts",
  "tests/attacks/door.test.ts",
  "tests/fuzz/frames.test.ts",
  "tests/attacks/inflation.test.ts",
  "tests/e2e/chat-layout.test.ts",
  "tests/attacks/compression-leaks.test.ts",
  "tests/e2e/cluster.test.ts",
  "tests/soak/soak.test.ts",
  "tests/fuzz/ws.test.ts",
  "tests/examples.test.ts",
  "tests/attacks/starvation.test.ts",
  "tests/e2e/browser-websocket.test.ts",
  "tests/e2e/dashboard.test.ts",
  "tests/attacks/pipelines.test.ts",
  "tests/interop/standstill.test.ts",
  "tests/brokers/redis.test.ts",
  "tests/attacks/door-random.test.ts",
  "tests/attacks/peers.test.ts",
  "tests/e2e/proxies.test.ts",
  "tests/attacks/frames.test.ts",
  "tests/e2e/client.test.ts",
];

export class SlowFilesFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    return slowFirst(await super.sort(files), ({ moduleId }) => moduleId);
  }

  override shard(files: TestSpecification[]): Promise<TestSpecification[]> {
    const { index, count } = this.ctx.config.shard!;
    return Promise.resolve(share(files, ({ moduleId }) => moduleId, index, count));
  }
}

/** Deals the files out one by one, so that each share has as many slow ones as the others. */
export function share<File>(
  files: readonly File[],
  pathOf: (file: File) => string,
  index: number,
  count: number,
): File[] {
  // The order is the same in the process of each share, which vitest's own is not: it depends on earlier runs.
  const byName = [...files].sort((a, b) => pathOf(a) < pathOf(b) ? -1 : 1);
  return slowFirst(byName, pathOf).filter((_, i) => i % count === index - 1);
}

/** Moves the slow files to the front. The others keep their order. */
export function slowFirst<File>(files: readonly File[], pathOf: (file: File) => string): File[] {
  const rank = (file: File): number => {
    const found = slowFiles.findIndex((path) => pathOf(file).endsWith(`/${path}`));
    return found === -1 ? slowFiles.length : found;
  };
  return [...files].sort((a, b) => rank(a) - rank(b));
}
