/** Reads Markdown: its blocks of code, its links, and the anchors that links may name. */
import GithubSlugger from "github-slugger";
import type { Heading, Nodes } from "mdast";
import { fromMarkdown } from "mdast-util-from-markdown";
import { toString } from "mdast-util-to-string";
import { visit } from "unist-util-visit";
import { read } from "../support/repository.ts";

/** A block of code of a page. */
export interface Block {
  /** The path of the page from the top level of the repository. */
  readonly page: string;
  /**
   * The anchor of the heading above the block and the language, such as `quick-start ts`. A second block of this
   * language under the same heading is `quick-start ts 2`.
   */
  readonly name: string;
  readonly line: number;
  /** The word behind the fence, or `""`. */
  readonly language: string;
  readonly code: string;
}

export interface Page {
  readonly path: string;
  readonly blocks: readonly Block[];
  /** The targets of links and images, as they are written. */
  readonly links: readonly string[];
  /** The anchors of the headings, as GitHub makes them. */
  readonly anchors: ReadonlySet<string>;
}

/** Reads a page, by its path from the top level. */
export function readPage(path: string, text: string = read(path)): Page {
  const slugger = new GithubSlugger();
  const blocks: Block[] = [];
  const links: string[] = [];
  const anchors = new Set<string>();
  const counts = new Map<string, number>();
  let heading = "";
  visit(fromMarkdown(text), (node: Nodes) => {
    if (node.type === "heading") anchors.add(heading = slugger.slug(toString(node as Heading)));
    else if (node.type === "link" || node.type === "image" || node.type === "definition") links.push(node.url);
    else if (node.type === "code") {
      const language = node.lang ?? "";
      const first = `${heading} ${language}`;
      const count = (counts.get(first) ?? 0) + 1;
      counts.set(first, count);
      const name = count === 1 ? first : `${first} ${count}`;
      blocks.push({ page: path, name, line: node.position!.start.line, language, code: `${node.value}\n` });
    }
  });
  return { path, blocks, links, anchors };
}
