/** The addresses of the project stand in package.json only, and the relative links of its papers lead to files. */
import { existsSync } from "node:fs";
import { posix } from "node:path";
import { expect, test } from "vitest";
import { read, repositoryFiles, root } from "./support/repository.ts";

const { repository, homepage, bugs } = JSON.parse(read("package.json"));
const address: string = repository.url.replace(/^git\+/, "").replace(/\.git$/, "");

/** A folder of GitHub's pages of this repository, as a template in .github has to write it. */
const ON_GITHUB = /^\.\.\/(blob\/main\/|security\/policy$)/;

/** The targets of the Markdown links of a text that name no host and no heading of the same page. */
function relativeLinks(text: string): string[] {
  return [...text.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target]) => target!.replace(/#.*/, ""))
    .filter((target) => target !== "" && !/^[a-z]+:/.test(target));
}

/** The links of a file that lead nowhere. */
function brokenLinks(path: string, text = read(path)): string[] {
  return relativeLinks(text).filter((target) => {
    const isOnGitHub = path.startsWith(".github/");
    if (isOnGitHub && !ON_GITHUB.test(target)) return true;
    const file = isOnGitHub
      ? target.replace("../security/policy", "SECURITY.md").replace("../blob/main/", "")
      : posix.join(posix.dirname(path), target);
    return !existsSync(posix.join(root, file));
  }).map((target) => `${path} links to ${target}`);
}

test("the links of package.json belong to one repository", () => {
  expect(repository).toEqual({ type: "git", url: `git+${address}.git` });
  expect(address).toMatch(/^https:\/\/github\.com\/[\w-]+\/[\w-]+$/);
  expect([homepage, bugs]).toEqual([`${address}#readme`, { url: `${address}/issues` }]);
});

test("no other file has the address of the repository", () => {
  const { host, pathname } = new URL(address);
  const owner = posix.join(host, pathname, "..").toLowerCase();
  const others = repositoryFiles().filter((path) => path !== "package.json");
  expect(others.filter((path) => read(path).toLowerCase().includes(owner))).toEqual([]);
});

test("relative links lead to files", () => {
  const papers = repositoryFiles().filter((path) => path.endsWith(".md") || path.startsWith(".github/"));
  expect(papers.flatMap((path) => brokenLinks(path))).toEqual([]);
});

test.each([
  ["docs/a.md", "[one](b.md)", "docs/a.md links to b.md"],
  ["README.md", "[one](docs/none.md#part)", "README.md links to docs/none.md"],
  [".github/a.md", "[one](../blob/main/none.md)", ".github/a.md links to ../blob/main/none.md"],
  [".github/a.md", "[one](../README.md)", ".github/a.md links to ../README.md"],
])("in %s, %s would be found", (path, text, found) => {
  expect(brokenLinks(path, text)).toEqual([found]);
});

test.each([
  ["docs/a.md", "[one](../README.md#speed), [two](https://example.com/a), [three](#three)"],
  [".github/a.md", "[one](../blob/main/README.md), [two](../security/policy)"],
])("in %s, %s is as it should be", (path, text) => {
  expect(brokenLinks(path, text)).toEqual([]);
});
