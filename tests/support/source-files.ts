/** What the tests of the house know of a source file: its imports, its names, its state. Read from the syntax tree. */
import { posix } from "node:path";
import { parseScript, read } from "./repository.ts";

export interface Import {
  specifier: string;
  /** The path of an imported file of the repository, from the top level. */
  file: string | undefined;
}

export interface SourceFile {
  path: string;
  /** All static, dynamic and type imports and re-exports. */
  imports: Import[];
  /** The names that the file refers to; property names are left out. */
  names: Set<string>;
  /** Accesses such as `process.versions`. */
  members: Set<string>;
  /** The kinds of the top-level statements. */
  statements: string[];
  /** The names of module-level variables, and static fields, that change after the module has been loaded. */
  state: string[];
  /** The comments in front of the first statement that is no import. */
  head: string;
  /** True when nothing is left of the file at run time: it declares types only. */
  hasOnlyTypes: boolean;
}

/** A node of a syntax tree, whose other members depend on its type. */
export type Node = { type: string; start: number; end: number } & Record<string, unknown>;

/** Containers whose only use is that they change. */
const CHANGING_CLASSES = new Set(["Map", "Set", "WeakMap", "WeakSet"]);

/** Methods that change the array, buffer, map or set that they are called on. */
const CHANGING_METHODS = new Set(
  [
    "add",
    "clear",
    "copyWithin",
    "delete",
    "fill",
    "pop",
    "push",
    "reverse",
    "set",
    "shift",
    "sort",
    "splice",
    "unshift",
  ],
);

const TYPE_STATEMENTS = new Set(["ImportDeclaration", "TSInterfaceDeclaration", "TSTypeAliasDeclaration"]);

/** Reads a source file of the repository, or the text that is given in its place. */
export function parseSource(path: string, text = read(path)): SourceFile {
  const { program, comments } = parseScript(path, text);
  const statements = program.body as unknown as Node[];
  const file: SourceFile = {
    path,
    imports: [],
    names: new Set(),
    members: new Set(),
    statements: statements.map((statement) => isLocalExport(statement) ? "local export" : statement.type),
    state: [],
    head: "",
    hasOnlyTypes: statements.every((statement) => TYPE_STATEMENTS.has(declarationOf(statement).type)),
  };
  for (const statement of statements) collectNames(statement, file);
  file.state = stateOf(statements);
  const first = statements.find(({ type }) => type !== "ImportDeclaration");
  file.head = comments.filter(({ end }) => first === undefined || end <= first.start).map(({ value }) => value).join(
    "\n",
  );
  return file;
}

/** The shortest circles of imports among files, type imports included; each begins with its first file by name. */
export function importCircles(files: readonly SourceFile[]): string[][] {
  const importsOf = new Map(files.map(({ path, imports }) => [path, imports.flatMap(({ file }) => file ?? [])]));
  const circles = new Map<string, string[]>();
  for (const { path } of files) {
    const circle = shortestWayBack(path, importsOf);
    if (circle === undefined) continue;
    const at = circle.indexOf([...circle].sort()[0]!);
    const rotated = [...circle.slice(at), ...circle.slice(0, at)];
    circles.set(rotated.join(), rotated);
  }
  return [...circles.values()];
}

function shortestWayBack(start: string, importsOf: Map<string, string[]>): string[] | undefined {
  const seen = new Set<string>();
  const ways: string[][] = [[start]];
  for (let way = ways.shift(); way !== undefined; way = ways.shift()) {
    for (const next of importsOf.get(way.at(-1)!) ?? []) {
      if (next === start) return way;
      if (seen.has(next)) continue;
      seen.add(next);
      ways.push([...way, next]);
    }
  }
  return undefined;
}

function collectNames(statement: Node, file: SourceFile): void {
  let importedFrom = "";
  const visit = (node: Node): void => {
    if (isNode(node.source)) {
      importedFrom = node.source.value as string;
      const isRelative = /^\.\.?\//.test(importedFrom);
      const target = isRelative ? posix.join(posix.dirname(file.path), importedFrom) : undefined;
      file.imports.push({ specifier: importedFrom, file: target });
    }
    if (node.type === "ImportSpecifier" && /^(node:)?process$/.test(importedFrom)) {
      file.members.add(`process.${(node.imported as Node).name}`);
    }
    if (node.type === "Identifier") file.names.add(node.name as string);
    if (node.type === "MemberExpression" && isNode(node.object) && isNode(node.property)) {
      file.members.add(`${node.object.name}.${node.property.name ?? node.property.value}`);
    }
    for (const [key, child] of Object.entries(node)) {
      const isPropertyName = (key === "property" || key === "key") && node.computed === false &&
        node.shorthand !== true;
      if (!isPropertyName) { for (const item of nodesIn(child)) visit(item); }
    }
  };
  visit(statement);
}

function stateOf(statements: readonly Node[]): string[] {
  const state = new Set<string>();
  const constants = new Set<string>();
  for (const declaration of statements.map(declarationOf)) {
    if (declaration.type === "VariableDeclaration") {
      for (const { id, init } of declaration.declarations as { id: Node; init: Node | null }[]) {
        const name = id.name as string;
        const { type, callee } = init ?? { type: "", callee: undefined };
        const isContainer = type === "NewExpression" && CHANGING_CLASSES.has((callee as Node).name as string);
        if (declaration.kind !== "const" || isContainer) state.add(name);
        else constants.add(name);
      }
    } else if (declaration.type === "ClassDeclaration") {
      for (const member of (declaration.body as { body: Node[] }).body) {
        const key = member.key as Node | undefined;
        if (member.type === "PropertyDefinition" && member.static === true && member.readonly !== true) {
          state.add(`${(declaration.id as Node).name}.${key?.name}`);
        }
      }
    }
  }
  const visit = (node: Node): void => {
    const changed = changedObject(node);
    if (changed !== undefined && constants.has(changed)) state.add(changed);
    for (const child of Object.values(node)) for (const item of nodesIn(child)) visit(item);
  };
  for (const statement of statements) visit(statement);
  return [...state];
}

/** The name of the variable whose value a node changes: `a` for `a.b = 1`, `a[0]++` and `a.push(1)`. */
function changedObject(node: Node): string | undefined {
  const target = node.type === "AssignmentExpression"
    ? node.left
    : node.type === "UpdateExpression"
    ? node.argument
    : node.type === "CallExpression"
    ? node.callee
    : undefined;
  if (!isNode(target) || target.type !== "MemberExpression" || !isNode(target.object)) return undefined;
  const isCall = node.type === "CallExpression";
  if (isCall && !CHANGING_METHODS.has((target.property as Node).name as string)) return undefined;
  return target.object.type === "Identifier" ? target.object.name as string : undefined;
}

/** What an export declares, or the statement itself. */
function declarationOf(statement: Node): Node {
  if (statement.type !== "ExportNamedDeclaration") return statement;
  if (isNode(statement.declaration)) return statement.declaration;
  return statement.exportKind === "type" ? { ...statement, type: "TSTypeAliasDeclaration" } : statement;
}

function isLocalExport(statement: Node): boolean {
  return statement.type === "ExportNamedDeclaration" && statement.source === null;
}

export function isNode(value: unknown): value is Node {
  return typeof value === "object" && value !== null && typeof (value as Node).type === "string";
}

/** The nodes in a member of a node, which may be a list. */
export function nodesIn(value: unknown): Node[] {
  return (Array.isArray(value) ? value : [value]).filter(isNode);
}
