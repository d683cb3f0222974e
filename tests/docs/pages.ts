/** The pages for users: the README and everything in docs. */
import { repositoryFiles } from "../support/repository.ts";
import { type Block, type Page, readPage } from "./markdown.ts";

export const pages: readonly Page[] = repositoryFiles()
  .filter((path) => path === "README.md" || /^docs\/[^/]+\.md$/.test(path))
  .map((path) => readPage(path));

export const blocks: readonly Block[] = pages.flatMap((page) => page.blocks);

/** The one block of a page with this name. */
export function blockOf(page: string, name: string): Block {
  const block = blocks.find((each) => each.page === page && each.name === name);
  if (block === undefined) throw new Error(`${page} has no block of code that is called "${name}"`);
  return block;
}
