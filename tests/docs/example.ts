/** What the tests know of a block of code, beyond the text that stands in the page. */
import type { App } from "../../mod.ts";
import type { ServerKind } from "../support/server-program.ts";

/** All that the top level of a program declares, by its name. */
// deno-lint-ignore no-explicit-any
export type Values = Record<string, any> & { readonly app: App<any> };

/** The runtimes, by the names of their commands. */
export type Runtime = "node" | "deno" | "bun";

/** A block of code of a page, and what completes it. All of it is optional: many blocks are whole programs. */
export interface Example {
  /** Code in front of the block: what the page has shown before, or leaves to the reader. */
  readonly before?: string;
  /** Code behind the block. */
  readonly after?: string;
  /**
   * The runtime that the block is for, if only one can run it. The program is then a process of its own under this
   * runtime, whichever runtime the test has. It prints `port` and the number of its port.
   */
  readonly runtime?: Runtime;
  /** The server that the block needs, and its address in the block, which becomes that of a server of the test. */
  readonly server?: { readonly kind: ServerKind; readonly address: string };
  /** Makes what the block finds when it runs, such as files. */
  readonly prepare?: () => unknown;
  /** Looks from outside at what the running block does. Without it, the block has to run to its end. */
  readonly run?: (values: Values, code: string) => unknown;
}

/** The examples of a page, by the names of their blocks. */
export type Examples = Readonly<Record<string, Example>>;

/** What stands in front of a fragment that uses an app. */
export const APP = `import { createApp } from "spacenode";
const app = await createApp({ logger: false });
`;
