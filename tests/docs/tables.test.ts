/** No table of a page for users is wider than a screen. */
import { expect, test } from "vitest";
import { read } from "../support/repository.ts";
import { pages } from "./pages.ts";

const MAX_COLUMNS = 120;
/** The page for those who change the code, who read it in an editor. */
const WIDE = new Set(["docs/architecture.md"]);

test.each(pages.map(({ path }) => path).filter((path) => !WIDE.has(path)))("the tables of %s are narrow", (path) => {
  // The formatter gives all lines of a table the same length.
  const lines = read(path).split("\n").filter((line) => line.startsWith("|"));
  expect(lines.filter((line) => line.length > MAX_COLUMNS)).toEqual([]);
});
