// JSR accepts the package, which contains the source and the papers, is used by its path, and gets a full score.

import { cp, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { type CommandResult, run } from "./command.ts";
import { startEcho } from "./echo.ts";
import { emptyProject, root } from "./project.ts";

/** The part of the output of `deno doc --json` that JSR scores. */
interface ModuleDoc {
  readonly module_doc: { readonly doc: string; readonly tags: readonly { readonly kind: string }[] };
  readonly symbols: readonly { readonly name: string; readonly declarations: readonly Declaration[] }[];
}

interface Declaration {
  readonly jsDoc?: { readonly doc?: string };
}

/** Prepares the package for JSR, also with changes that are not committed. */
const publish = ["publish", "--dry-run", "--allow-dirty"];
const commands: Record<string, string[]> = {
  "deno publish": ["deno", ...publish],
  "npx jsr publish": ["npx", "jsr", ...publish],
};
const results = new Map<string, CommandResult>();

beforeAll(async () => {
  const env = {
    // The tool jsr runs Deno, and would download one of its own.
    DENO_BIN_PATH: join(root, "node_modules/.bin/deno"),
    // It starts this process in a way that Node 26 warns about.
    NODE_OPTIONS: "--disable-warning=DEP0190",
  };
  for (const [name, command] of Object.entries(commands)) results.set(name, await run(command, root, env));
});

/** The paths of the files that a command would publish. */
function filesOf(name: string): string[] {
  const urls = [...results.get(name)!.output.matchAll(/file:\/\/(\S+)/g)];
  return urls.map(([, path]) => path!.slice(root.length + 1));
}

describe.each(Object.keys(commands))("%s", (name) => {
  test("would publish the package without a warning, and finds no slow type", () => {
    const { exitCode, output } = results.get(name)!;
    expect(output).toMatch(/Checking for slow types/);
    expect(output).toMatch(/dry run complete/i);
    expect(output).not.toMatch(/warning/i);
    expect(exitCode).toBe(0);
  });

  test("would publish the source and the papers, and nothing else", () => {
    const wanted = /^(mod\.ts|src\/.+\.ts|deno\.json|(README|CHANGELOG|SECURITY)\.md|LICENSE|docs\/.+)$/;
    const files = filesOf(name);
    expect(files.filter((path) => !wanted.test(path))).toEqual([]);
    const papers = ["README.md", "CHANGELOG.md", "SECURITY.md", "LICENSE", "docs/architecture.md"];
    expect(files).toEqual(expect.arrayContaining(["mod.ts", "src/platform.ts", ...papers]));
  });
});

describe("the published files alone", () => {
  const project = emptyProject();
  beforeAll(async () => {
    for (const path of filesOf("deno publish")) {
      await cp(join(root, path), join(project.folder, "package", path));
    }
  });

  test("are checked and serve an echo under Deno by their path, with no permission but the network", async () => {
    const program = await project.add("consumer.ts", "by-path");
    await writeFile(program, (await readFile(program, "utf8")).replace(`"spacenode"`, `"../package/mod.ts"`));
    await writeFile(join(project.folder, "by-path/deno.json"), "{}");
    const command = ["deno", "run", "--quiet", "--no-prompt", "--check", "--allow-net", program];
    expect(await run(command, project.folder)).toEqual({ exitCode: 0, output: "kitchen: hello!\n" });
  });

  test("run the client under Deno by its path", async () => {
    const program = await project.add("client.ts", "by-path");
    await writeFile(
      program,
      (await readFile(program, "utf8")).replace(`"spacenode/client"`, `"../package/src/client/client.ts"`),
    );
    await writeFile(join(project.folder, "by-path/deno.json"), "{}");
    const command = ["deno", "run", "--quiet", "--no-prompt", "--check", "--allow-net", program, await startEcho()];
    expect(await run(command, project.folder)).toEqual({ exitCode: 0, output: "hello 1\n1000\n" });
  });

  // Slow types are tested above. A description and the runtimes that it runs on are settings on JSR's site, and the
  // provenance comes from the workflow that publishes.
  test.each([["mod.ts", 20], ["src/client/client.ts", 10]])(
    "have all that JSR scores: a README, and in %s an example and a comment on each symbol",
    async (path, count) => {
      const readme = await readFile(join(project.folder, "package/README.md"), "utf8");
      const { exitCode, output } = await run(["deno", "doc", "--json", `package/${path}`], project.folder);
      expect(exitCode).toBe(0);
      const [{ module_doc: moduleDoc, symbols }] = Object.values<ModuleDoc>(JSON.parse(output).nodes);
      expect(readme).toMatch(/^```ts$/m);
      expect(moduleDoc.doc).not.toBe("");
      expect(moduleDoc.tags.map(({ kind }) => kind)).toContain("example");
      const bare = symbols.filter(({ declarations }) => declarations.every(({ jsDoc }) => !jsDoc?.doc));
      expect(bare.map(({ name }) => name)).toEqual([]);
      expect(symbols.length).toBeGreaterThan(count);
    },
  );
});
