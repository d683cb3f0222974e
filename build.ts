/** Builds the package for npm: `npm run build` fills dist with JavaScript and declarations, and `npm pack` packs it. */

import { execFileSync } from "node:child_process";
import { globSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";

const root = import.meta.dirname;
const compiler = join(root, "node_modules/typescript/bin/tsc");
const declarations = join(root, "dist/mod.d.ts");

// A module that is no longer in the source must not stay in the package.
rmSync(join(root, "dist"), { recursive: true, force: true });
execFileSync(process.execPath, [compiler, "-p", join(root, "tsconfig.build.json")], { stdio: "inherit" });

// The public types use those of node:http and Buffer. Compilers from TypeScript 6 on load the types of Node only where
// a file asks for them, and a project that lacks them is told so here. The source itself cannot ask: Deno has these
// types by itself, and JSR would look for a package with the name "node".
const types = `/// <reference types="node" />\n`;
writeFileSync(declarations, types + readFileSync(declarations, "utf8"));

// The examples in the comments import the package by its name on JSR. Editors show them to users of npm's package too,
// where only the name on npm is right.
const { name } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
const { name: nameOnJsr } = JSON.parse(readFileSync(join(root, "jsr.json"), "utf8"));
for (const path of globSync("dist/**/*.{js,d.ts}", { cwd: root })) {
  const text = readFileSync(join(root, path), "utf8");
  writeFileSync(join(root, path), text.replaceAll(`"${nameOnJsr}`, `"${name}`));
}
