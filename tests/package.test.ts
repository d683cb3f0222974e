/** The address of the repository stands in package.json and the README only, and the links in .github lead to files. */
import { existsSync } from "node:fs";
import { posix } from "node:path";
import { expect, test } from "vitest";
import { read, repositoryFiles, root } from "./support/repository.ts";

const { repository, homepage, bugs } = JSON.parse(read("package.json"));
const address: string = repository.url.replace(/^git\+/, "").replace(/\.git$/, "");

/** A folder of GitHub's pages of this repository, as a template in .github has to write it. */
const ON_GITHUB = /^\.\.\/(blob\/main\/|security\/policy$)/;

/** The links of a text in .github that lead nowhere. GitHub shows these papers at places of its own. */
function brokenLinks(path: string, text = read(path)): string[] {
  return [...text.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target]) => target!.replace(/#.*/, ""))
    .filter((target) => !/^[a-z]+:/.test(target))
    .filter((target) => {
      const file = target.replace("../security/policy", "SECURITY.md").replace("../blob/main/", "");
      return !ON_GITHUB.test(target) || !existsSync(posix.join(root, file));
    }).map((target) => `${path} links to ${target}`);
}

test("the links of package.json belong to one repository", () => {
  expect(repository).toEqual({ type: "git", url: `git+${address}.git` });
  expect(address).toMatch(/^https:\/\/github\.com\/[\w-]+\/[\w-]+$/);
  expect([homepage, bugs]).toEqual([`${address}#readme`, { url: `${address}/issues` }]);
});

test("only the README has this address too, because npm and JSR show the README without the rest of the repository", () => {
  const { host, pathname } = new URL(address);
  const owner = posix.join(host, pathname, "..").toLowerCase();
  const others = repositoryFiles().filter((path) => path !== "package.json");
  expect(others.filter((path) => read(path).toLowerCase().includes(owner))).toEqual(["README.md"]);
});

test("relative links in .github lead to files", () => {
  const papers = repositoryFiles().filter((path) => path.startsWith(".github/"));
  expect(papers.flatMap((path) => brokenLinks(path))).toEqual([]);
});

test.each([
  ["[one](../blob/main/none.md)", ".github/a.md links to ../blob/main/none.md"],
  ["[one](../README.md)", ".github/a.md links to ../README.md"],
])("in .github/a.md, %s would be found", (text, found) => {
  expect(brokenLinks(".github/a.md", text)).toEqual([found]);
});

test("in .github/a.md, links to GitHub's pages of the repository are as they should be", () => {
  expect(brokenLinks(".github/a.md", "[one](../blob/main/README.md), [two](../security/policy)")).toEqual([]);
});
