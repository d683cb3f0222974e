/** The blocks of code of all pages run, with the built package, and do what their page says. */
import { beforeAll, describe, expect, test } from "vitest";
import { isInstalled } from "../support/server-program.ts";
import type { Values } from "./example.ts";
import { exampleOf } from "./examples.ts";
import type { Block } from "./markdown.ts";
import { pages } from "./pages.ts";
import { prepareFolder, runBlock } from "./program.ts";
import { notRun } from "./unchecked.ts";

beforeAll(prepareFolder);

const canRun = (block: Block): boolean =>
  notRun[block.page]?.[block.name] === undefined && (block.language === "ts" || exampleOf(block).run !== undefined);

describe.each(pages.filter(({ blocks }) => blocks.some(canRun)))("$path", ({ blocks }) => {
  for (const block of blocks.filter(canRun)) {
    const { server, run } = exampleOf(block);
    if (block.language === "ts") {
      test.skipIf(server !== undefined && !isInstalled(server.kind))(block.name, async () => {
        const values = await runBlock(block, exampleOf(block));
        expect(values).toBeDefined();
        await run?.(values, block.code);
      });
    } else {
      test(block.name, async () => {
        expect(block.code).not.toBe("");
        await run!({} as Values, block.code);
      });
    }
  }
});
