// The quick start of README.md, as a stranger follows it: an empty folder, the commands of its table, and no more.

import { readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { BrowserPage } from "../docs/browser-page.ts";
import { blockOf } from "../docs/pages.ts";
import { fetchNode } from "../runner/runtimes.ts";
import { Program } from "../support/program.ts";
import { mustRun, run } from "./command.ts";
import { emptyFolder, installedProject, root } from "./project.ts";
import { longProgram, program } from "./quick-start.ts";
import { startRegistry } from "./registry.ts";

const START_TIMEOUT_MS = 45_000;

/** The commands of a row of the README's table: those that install, and the one that starts. */
function commandsOf(runtime: string): { install: string[][]; start: string[] } {
  const row = readFileSync(join(root, "README.md"), "utf8").split("\n").find((line) =>
    line.startsWith(`| ${runtime} `)
  );
  const commands = (cell: string): string[][] => [...cell.matchAll(/`([^`]+)`/g)].map(([, text]) => text!.split(" "));
  const [, , install, start] = row!.split("|");
  return { install: commands(install!), start: commands(start!)[0]! };
}

/** Starts a program, pastes the README's lines into the console of its page, and ends the program with Ctrl-C. */
async function visit(start: readonly string[], folder: string, env: NodeJS.ProcessEnv): Promise<void> {
  const server = Program.command(start, env, START_TIMEOUT_MS, folder);
  const [, url] = await server.line(/^Open (http:\/\/localhost:\d+)$/, START_TIMEOUT_MS);
  expect(await (await fetch(url!)).text()).toBe("Connect to /echo");
  const page = new BrowserPage(Number(new URL(url!).port));
  page.run(blockOf("README.md", "quick-start js").code);
  await expect.poll(() => page.logged).toEqual(["hello"]);
  server.kill("SIGINT");
  const exit = await server.exited;
  // Deno says what it downloads.
  const complaints = server.errors.split("\n").filter((line) => line !== "" && !line.includes("Download"));
  expect([exit, complaints]).toEqual([{ code: null, signal: "SIGINT" }, []]);
}

describe("in an empty folder, the quick start installs the package, and its program runs without a warning:", () => {
  const folders = { Node: emptyFolder(), Bun: emptyFolder(), Deno: emptyFolder() };

  test.each(["Node", "Bun", "Deno"] as const)("%s", async (runtime) => {
    const { folder } = folders[runtime];
    const { install, start } = commandsOf(runtime);
    // The caches are new, because another package of this version may be in those of the machine.
    const env = {
      NPM_CONFIG_REGISTRY: await startRegistry(),
      NPM_CONFIG_CACHE: join(folder, ".cache"),
      NPM_CONFIG_AUDIT: "false",
      BUN_INSTALL_CACHE_DIR: join(folder, ".cache"),
      DENO_DIR: join(folder, ".cache"),
    };
    expect(install.length).toBeGreaterThan(0);
    for (const command of install) {
      // The registry of the test is one of npm.
      const { exitCode, output } = await run(
        command.map((word) => word.replace("jsr:@spacenode/", "npm:")),
        folder,
        env,
      );
      expect([exitCode, output]).toEqual([0, expect.not.stringMatching(/warn/i)]);
    }
    await writeFile(join(folder, "server.ts"), program);
    const [command, ...rest] = start;
    const executables = runtime === "Node" ? ["node", fetchNode("24"), fetchNode("22")] : [command!];
    for (const executable of executables) await visit([executable, ...rest], folder, env);
    await writeFile(join(folder, "server.ts"), longProgram);
    await visit(start, folder, env);
  });
});

describe("in a project of npm that stays CommonJS,", () => {
  const project = installedProject();

  test("the program is taken as server.mts, by the compiler and by Node", async () => {
    await writeFile(join(project.folder, "package.json"), `{ "type": "commonjs" }`);
    await project.addTypesOfNode(".");
    await mustRun(["tsc", "--init"], project.folder);
    await writeFile(join(project.folder, "server.mts"), program);
    expect(await run(["tsc", "--noEmit"], project.folder)).toEqual({ exitCode: 0, output: "" });
    await visit(["node", "server.mts"], project.folder, {});
  });
});
