// The npm package is installed and runs on every runtime, also with few permissions.

import { copyFile, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, inject, test } from "vitest";
import { fetchNode } from "../runner/runtimes.ts";
import { mustRun, run } from "./command.ts";
import { startEcho } from "./echo.ts";
import { emptyProject, installedProject } from "./project.ts";
import { startRegistry } from "./registry.ts";
import { visit } from "./visitor.ts";

const project = installedProject();

const ECHO = { exitCode: 0, output: "kitchen: hello!\n" };
const CLIENT = { exitCode: 0, output: "hello 1\n1000\n" };
const GREETING = { exitCode: 0, output: "hello, kitchen\n" };

describe.each<[string, () => string[]]>([
  ["Node 22", () => [fetchNode("22")]],
  ["Node 24", () => [fetchNode("24")]],
  ["Node 26", () => ["node"]],
  ["Deno", () => ["deno", "run", "--allow-all"]],
  ["Bun", () => ["bun"]],
])("under %s,", (_name, runtime) => {
  test("a module that imports it serves an echo", async () => {
    expect(await run([...runtime(), await project.add("consumer.ts")], project.folder)).toEqual(ECHO);
  });

  test("a module that imports its client talks to a server", async () => {
    const command = [...runtime(), await project.add("client.ts"), await startEcho()];
    expect(await run(command, project.folder)).toEqual(CLIENT);
  });

  test("a CommonJS module that requires it gets a response", async () => {
    expect(await run([...runtime(), await project.add("consumer.cjs")], project.folder)).toEqual(GREETING);
  });
});

test("under Node 18, which is too old, it says which one it needs", async () => {
  const { exitCode, output } = await run([fetchNode("18"), await project.add("server.mjs")], project.folder);
  expect([exitCode, output]).toEqual([
    1,
    expect.stringMatching(/^Error: SpaceNode needs Node 22 or later, .* Node 18\./m),
  ]);
});

describe("in an empty project,", () => {
  const empty = emptyProject();

  test("bun add takes the package as packed, and it serves an echo", async () => {
    await copyFile(inject("tarball"), join(empty.folder, "spacenode.tgz"));
    await mustRun(["bun", "add", "./spacenode.tgz"], empty.folder);
    const { dependencies } = JSON.parse(await readFile(join(empty.folder, "package.json"), "utf8"));
    expect(dependencies).toEqual({ spacenode: "./spacenode.tgz" });
    expect(await run(["bun", await empty.add("consumer.ts")], empty.folder)).toEqual(ECHO);
  });
});

describe("without a project,", () => {
  const bare = emptyProject();

  test("Deno fetches it from a registry by its name, checks the types, and needs no permission but the network", async () => {
    const program = await bare.add("consumer.ts", "npm");
    await writeFile(program, (await readFile(program, "utf8")).replace(`"spacenode"`, `"npm:spacenode"`));
    await writeFile(join(bare.folder, "npm/deno.json"), "{}");
    const command = ["deno", "run", "--quiet", "--no-prompt", "--check", "--allow-net", "consumer.ts"];
    const env = { NPM_CONFIG_REGISTRY: await startRegistry(), DENO_DIR: join(bare.folder, "deno-cache") };
    expect(await run(command, join(bare.folder, "npm"), env)).toEqual(ECHO);
  });
});

describe.each([["http", false], ["https", true]])(
  "with few permissions, a server that speaks %s",
  (_name, isSecure) => {
    test("needs --allow-net under Deno, and no more", async () => {
      await visit(["deno", "run", "--no-prompt", "--allow-net", await project.add("server.mjs")], isSecure);
    });

    test("needs --allow-net and the right to read its code under Node 26's permission model", async () => {
      const program = await project.add("server.mjs");
      await visit(["node", "--permission", "--allow-net", `--allow-fs-read=${project.folder}`, program], isSecure);
    });

    test("is refused the network without --allow-net under Node 26's permission model", async () => {
      const program = await project.add("server.mjs");
      const command = ["node", "--permission", `--allow-fs-read=${project.folder}`, program];
      const { exitCode, output } = await run(command, project.folder);
      expect(exitCode).toBe(1);
      // docs/troubleshooting.md says what these words mean.
      for (const words of ["Access to this API has been restricted", "ERR_ACCESS_DENIED", "permission: 'Net'"]) {
        expect(output).toContain(words);
      }
    });

    test("needs the right to read its code under Node 24's permission model, which leaves the network open", async () => {
      const program = await project.add("server.mjs");
      await visit([fetchNode("24"), "--permission", `--allow-fs-read=${project.folder}`, program], isSecure);
    });
  },
);
