/** The links of a page, and what is wrong with them. */
import { existsSync } from "node:fs";
import { join, posix } from "node:path";
import { read, root } from "../support/repository.ts";
import { type Page, readPage } from "./markdown.ts";

const packageJson = JSON.parse(read("package.json"));
const jsrJson = JSON.parse(read("jsr.json"));

/** Where the repository is shown on the web. */
export const address: string = packageJson.repository.url.replace(/^git\+/, "").replace(/\.git$/, "");

/** What both packages have, the one for npm and the one for JSR. npm adds some files by itself. */
const npmFiles: string[] = [...packageJson.files, "README.md", "LICENSE", "package.json"];
const published: string[] = npmFiles.filter((path) => jsrJson.publish.include.includes(path));

/** What is wrong with the links of a page, one sentence each. */
export function faultsOf(page: Page): string[] {
  return page.links.flatMap((target) => {
    const fault = faultOf(page, target);
    return fault === undefined ? [] : [`${page.path} links to ${target}: ${fault}`];
  });
}

function faultOf(page: Page, target: string): string | undefined {
  if (target.startsWith(`${address}/`)) return faultOfAddress(target.slice(address.length + 1));
  if (/^[a-z][a-z0-9+.-]*:/i.test(target)) return faultOfUrl(target);
  const [path, anchor] = target.split("#");
  if (path === "") return faultOfAnchor(page, anchor!);
  const file = posix.join(posix.dirname(page.path), path!);
  // npm and JSR show the README beside the files of the package, and not beside those of the repository.
  if (page.path === "README.md" && !published.some((path) => file === path || file.startsWith(`${path}/`))) {
    return `a package lacks this file; write ${address}/blob/main/${file}`;
  }
  return faultOfFile(file, anchor);
}

/** A link to the repository's own place on the web, behind its address. */
function faultOfAddress(rest: string): string | undefined {
  if (rest === "issues" || rest === "security/policy") return undefined;
  const [, path, anchor] = /^(?:blob|tree|raw)\/main\/([^#?]+)(?:#(.+))?$/.exec(rest) ?? [];
  return path === undefined
    ? "it leads neither to a file of the main branch nor to the issues"
    : faultOfFile(path, anchor);
}

/** A link to somewhere else. Nothing is fetched. */
function faultOfUrl(target: string): string | undefined {
  if (!URL.canParse(target)) return "it is no address";
  const { protocol, hostname } = new URL(target);
  if (protocol === "https:" || protocol === "mailto:") return undefined;
  return protocol === "http:" && hostname === "localhost" ? undefined : "it should begin with https:";
}

function faultOfFile(file: string, anchor: string | undefined): string | undefined {
  if (!existsSync(join(root, file))) return "there is no such file";
  if (anchor === undefined) return undefined;
  return file.endsWith(".md") ? faultOfAnchor(readPage(file), anchor) : "only pages have anchors";
}

function faultOfAnchor({ path, anchors }: Page, anchor: string): string | undefined {
  return anchors.has(anchor) ? undefined : `${path} has no heading with this anchor`;
}
