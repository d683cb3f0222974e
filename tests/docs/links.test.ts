/** Every link of every page leads somewhere, also on the pages of npm and JSR. */
import { expect, test } from "vitest";
import { repositoryFiles } from "../support/repository.ts";
import { address, faultsOf } from "./links.ts";
import { readPage } from "./markdown.ts";
import { pages } from "./pages.ts";

// GitHub shows the papers in .github at places of its own; tests/package.test.ts has their links.
const papers = repositoryFiles().filter((path) => path.endsWith(".md") && !path.startsWith(".github/"));

test.each(papers)("the links of %s lead somewhere", (path) => {
  expect(faultsOf(readPage(path))).toEqual([]);
});

test("the index in docs has every page of the folder, and a page on GitHub for it", () => {
  const index = pages.find(({ path }) => path === "docs/README.md")!;
  const others = pages.map(({ path }) => path).filter((path) => /^docs\/(?!README)/.test(path));
  expect(others.filter((path) => !index.links.includes(path.replace("docs/", "")))).toEqual([]);
});

test.each([
  ["docs/a.md", "[one](b.md)", "there is no such file"],
  ["docs/a.md", "[one][1]\n\n[1]: b.md", "there is no such file"],
  ["docs/a.md", "![one](b.png)", "there is no such file"],
  ["docs/a.md", "[one](#two)", "docs/a.md has no heading with this anchor"],
  ["docs/a.md", "# One\n\n[one](#One)", "docs/a.md has no heading with this anchor"],
  ["docs/a.md", "[one](../README.md#none)", "README.md has no heading with this anchor"],
  ["docs/a.md", "[one](../mod.ts#L1)", "only pages have anchors"],
  ["docs/a.md", "[one](http://example.com)", "it should begin with https:"],
  ["docs/a.md", "[one](https://)", "it is no address"],
  ["README.md", "[one](examples/cors.ts)", `a package lacks this file; write ${address}/blob/main/examples/cors.ts`],
  ["README.md", `[one](${address}/blob/main/docs/none.md)`, "there is no such file"],
  ["README.md", `[one](${address}/blob/main/README.md#none)`, "README.md has no heading with this anchor"],
  ["README.md", `[one](${address}/wiki)`, "it leads neither to a file of the main branch nor to the issues"],
])("in %s, %s would be found", (path, text, fault) => {
  expect(faultsOf(readPage(path, text))).toEqual([expect.stringMatching(`^${path} links to .*: `)]);
  expect(faultsOf(readPage(path, text))[0]).toContain(`: ${fault}`);
});

test.each([
  [
    "docs/a.md",
    "# Two words\n\n[one](#two-words), [two](../README.md), [three](https://example.com/a#b), [four](../docs)",
  ],
  ["docs/a.md", "# One\n\n# One\n\n[one](#one-1), `[two](none.md)`, [three](http://localhost:3000)"],
  [
    "README.md",
    `# One\n\n[one](CHANGELOG.md), [two](#one), [three](${address}/tree/main/docs), [four](${address}/issues)`,
  ],
])("in %s, %s is as it should be", (path, text) => {
  expect(faultsOf(readPage(path, text))).toEqual([]);
});
