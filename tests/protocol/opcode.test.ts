import { expect, test } from "vitest";
import { isControl, isData, isKnownOpcode, Opcode } from "../../src/protocol/opcode.ts";

test("the opcodes are those of §5.2", () => {
  expect(Opcode).toEqual({ CONTINUATION: 0, TEXT: 1, BINARY: 2, CLOSE: 8, PING: 9, PONG: 10 });
});

test.each(Array.from({ length: 16 }, (_, opcode) => [opcode]))("opcode %i is classified", (opcode) => {
  const dataOpcodes = [0, 1, 2];
  const controlOpcodes = [8, 9, 10];
  expect(isKnownOpcode(opcode)).toBe([...dataOpcodes, ...controlOpcodes].includes(opcode));
  // §5.2 reserves 0xB to 0xF for further control frames.
  expect(isControl(opcode)).toBe(opcode >= 8);
  // A continuation frame has data too, but no message begins with it.
  expect(isData(opcode)).toBe(opcode === 1 || opcode === 2);
});
