import { expect, test } from "vitest";
import { type Path, whyIgnored } from "./error-texts.ts";

/** The path of a node inside others, the innermost first. A node is `Type`, or `Type name` when it calls a function. */
function pathOf(...nodes: string[]): Path {
  const [first, ...outer] = nodes;
  const [type, name] = first!.split(" ");
  const node = name === undefined ? { type: type! } : { type: type!, callee: { name } };
  return { node, parentPath: outer.length > 0 ? pathOf(...outer) : null };
}

test.each([
  ["a text that an error gets", ["StringLiteral", "NewExpression ProtocolError", "ThrowStatement"]],
  ["a template", ["TemplateLiteral", "NewExpression TypeError", "ThrowStatement"]],
  ["a part of a text", ["StringLiteral", "BinaryExpression", "NewExpression TypeError", "ThrowStatement"]],
  ["the text of a function that throws", ["StringLiteral", "CallExpression refuse", "ExpressionStatement"]],
])("%s does not count", (_name, nodes) => {
  expect(whyIgnored(pathOf(...nodes))).toBe("the text of an error");
});

test.each([
  ["a text that is compared", ["StringLiteral", "BinaryExpression", "IfStatement", "BlockStatement", "Program"]],
  ["the text of another object", ["StringLiteral", "NewExpression URL", "VariableDeclaration", "Program"]],
  ["the text of another function", ["StringLiteral", "CallExpression splitList", "ReturnStatement"]],
  ["a text in a function that an error gets", [
    "StringLiteral",
    "ArrowFunctionExpression",
    "NewExpression ProtocolError",
  ]],
  ["a number that an error gets", ["NumericLiteral", "NewExpression ProtocolError", "ThrowStatement"]],
])("%s counts", (_name, nodes) => {
  expect(whyIgnored(pathOf(...nodes))).toBeUndefined();
});
