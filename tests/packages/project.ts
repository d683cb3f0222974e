/** Fresh projects outside of the repository that use the package as packed. */

import { copyFile, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, inject } from "vitest";
import { mustRun } from "./command.ts";

/** The folder of the repository. */
export const root = join(import.meta.dirname, "../..");

/** A folder, with a package.json or with nothing in it, which is removed after the tests of the file. */
export class Project {
  readonly #manifest: object | undefined;
  #folder = "";

  constructor(manifest?: object) {
    this.#manifest = manifest;
  }

  /** The path of the folder. */
  get folder(): string {
    return this.#folder;
  }

  /** The path of the installed package. */
  get installed(): string {
    return join(this.#folder, "node_modules/spacenode");
  }

  async create(): Promise<void> {
    this.#folder = await mkdtemp(join(tmpdir(), "spacenode-project-"));
    if (this.#manifest === undefined) return;
    await writeFile(join(this.#folder, "package.json"), JSON.stringify(this.#manifest));
  }

  async remove(): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true });
  }

  /** Copies a program to a folder of the project, which is made where it lacks, and returns the path of the copy. */
  async add(program: string, folder: string = "."): Promise<string> {
    await mkdir(join(this.#folder, folder), { recursive: true });
    const path = join(this.#folder, folder, program);
    await copyFile(join(import.meta.dirname, "programs", `${program}.txt`), path);
    return path;
  }

  /** Installs the types of Node in a folder of the project, from those of the repository. */
  async addTypesOfNode(folder: string): Promise<void> {
    await mkdir(join(this.#folder, folder, "node_modules/@types"), { recursive: true });
    const types = "node_modules/@types/node";
    await symlink(join(root, types), join(this.#folder, folder, types));
  }
}

/** An empty project for the tests of a file. */
export function emptyProject(): Project {
  return created(new Project({ private: true, type: "module" }));
}

/** A folder with nothing in it, for the tests of a file. */
export function emptyFolder(): Project {
  return created(new Project());
}

function created(project: Project): Project {
  beforeAll(() => project.create());
  afterAll(() => project.remove());
  return project;
}

/**
 * A project for the tests of a file, in which npm has installed the package. Without a network, a forgotten dependency
 * cannot be fetched.
 */
export function installedProject(): Project {
  const project = emptyProject();
  beforeAll(async () => {
    await mustRun(["npm", "install", "--offline", "--no-audit", "--no-fund", inject("tarball")], project.folder);
  });
  return project;
}
