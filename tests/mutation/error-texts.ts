/**
 * A plugin of Stryker, which leaves the texts of errors as they are. The mutant of a text is the empty text. It says
 * nothing about what the code does, and the tests of messages that matter name their words in one place each.
 */
import { declareValuePlugin, PluginKind } from "@stryker-mutator/api/plugin";

/** The part of a path of Babel that is looked at. */
export interface Path {
  readonly node: { readonly type: string; readonly callee?: { readonly name?: string } };
  readonly parentPath: Path | null;
}

/** The functions of the source that throw an error with the text that they get. */
const THROWING = new Set(["fault", "refuse", "throwInvalidOption"]);

/** The reason why a mutant of this node is left out, or nothing when the mutant counts. */
export function whyIgnored({ node, parentPath }: Path): string | undefined {
  if (!["StringLiteral", "TemplateLiteral"].includes(node.type)) return undefined;
  for (let outer = parentPath; outer !== null; outer = outer.parentPath) {
    const { type, callee } = outer.node;
    const name = callee?.name ?? "";
    if (type === "NewExpression" && name.endsWith("Error")) return "the text of an error";
    if (type === "CallExpression" && THROWING.has(name)) return "the text of an error";
    if (/Statement$|Function|^Program$/.test(type)) return undefined;
  }
  return undefined;
}

export const strykerPlugins = [
  declareValuePlugin(PluginKind.Ignore, "error-texts", { shouldIgnore: (path) => whyIgnored(path as Path) }),
];
