/** Makes whole programs of the blocks of code of the pages, and runs them. */
import { mkdir, rm, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import process from "node:process";
import { pathToFileURL } from "node:url";
import { expect, onTestFinished } from "vitest";
import { Program } from "../support/program.ts";
import { parseScript, root } from "../support/repository.ts";
import { actualRuntime } from "../support/runtime.ts";
import { ServerProgram } from "../support/server-program.ts";
import type { Example, Runtime, Values } from "./example.ts";
import type { Block } from "./markdown.ts";
import { blockOf } from "./pages.ts";

/** Where the programs are written. Git ignores this folder. */
export const folder = join(root, ".docs/programs");

/** Makes "spacenode" the built package for all programs in the folder. Other packages are those of the repository. */
export async function prepareFolder(): Promise<void> {
  const installed = join(folder, "node_modules/spacenode");
  await mkdir(installed, { recursive: true });
  for (const path of ["package.json", "dist"]) {
    await symlink(join(root, path), join(installed, path)).catch((error) => {
      if (error.code !== "EEXIST") throw error;
    });
  }
}

/** Writes the program of a block, which begins with what the page leaves out. */
export async function writeProgram(path: string, code: string, { before = "", after = "" }: Example): Promise<void> {
  const text = `${before}${code}${after}`;
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, `${text}${exportsOf(path, text)}`);
}

/** Exports all that the top level of a program declares, so that a test can use it. */
function exportsOf(path: string, text: string): string {
  const names: string[] = [];
  for (const statement of parseScript(path, text).program.body) {
    if (statement.type === "VariableDeclaration") {
      for (const { id } of statement.declarations) if (id.type === "Identifier") names.push(id.name);
    } else if (statement.type === "FunctionDeclaration" || statement.type === "ClassDeclaration") {
      names.push(statement.id!.name);
    }
  }
  return `export { ${names.join(", ")} };\n`;
}

/** Runs the program of a block until the test is finished, under the runtime of the test. */
export async function runBlock(block: Block, example: Example): Promise<Values> {
  // Ports that a page names become free ones.
  let code = block.code.replaceAll(/(listen\(|port: | : )(3000|443)\b/g, (_all, before: string) => `${before}0`);
  if (example.server !== undefined) {
    const server = await (await ServerProgram.create(example.server.kind)).start();
    onTestFinished(() => server.dispose());
    expect(code).toContain(example.server.address);
    code = code.replaceAll(example.server.address, `127.0.0.1:${server.port}`);
  }
  await example.prepare?.();
  return example.runtime === undefined ? await startProgram(code, example) : await startProcess(code, example);
}

/** Runs a block of a page as it stands there. */
export async function startBlock(page: string, name: string): Promise<Values> {
  return await runBlock(blockOf(page, name), {});
}

/** Runs the text of a program. Its apps and servers are closed when the test is finished. */
export async function startProgram(code: string, example: Example = {}): Promise<Values> {
  const path = programPath();
  await writeProgram(path, code, example);
  const values: Values = await import(/* @vite-ignore */ pathToFileURL(path).href);
  onTestFinished(async () => {
    await closeAll(values);
    await rm(path);
  });
  return values;
}

/** Runs the text of a program as a process under the runtime that it is for, and gives the `port` that it prints. */
async function startProcess(code: string, example: Example): Promise<Values> {
  const path = programPath();
  await writeProgram(path, code, example);
  onTestFinished(() => rm(path));
  const program = Program.command([...commandOf(example.runtime!), path]);
  const [, port] = await program.line(/^port (\d+)$/);
  return { port: Number(port) } as unknown as Values;
}

/** The beginning of a command that runs a program under a runtime. */
export function commandOf(runtime: Runtime): string[] {
  if (actualRuntime().startsWith(`${runtime}@`)) return [process.execPath, ...RUN[runtime]];
  return [join(root, "node_modules/.bin", runtime), ...RUN[runtime]];
}

const RUN: Readonly<Record<Runtime, readonly string[]>> = { node: [], deno: ["run", "--allow-net"], bun: [] };

function programPath(): string {
  return join(folder, "run", `${process.pid}-${runs++}.ts`);
}

/** Each program of a process is a module of its own, also when several tests run the same block. */
let runs = 0;

async function closeAll(values: Values): Promise<void> {
  for (const value of Object.values(values)) {
    if (typeof value?.inject === "function" && typeof value.stats === "function") await value.close({ timeoutMs: 500 });
    else if (typeof value?.closeAllConnections === "function") value.close().closeAllConnections();
  }
}
