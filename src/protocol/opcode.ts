/** The opcodes of frames and their kinds, RFC 6455 §5.2 to §5.6. */

/** The six opcodes that RFC 6455 §5.2 defines. All others are reserved. */
export const Opcode = {
  CONTINUATION: 0x0,
  TEXT: 0x1,
  BINARY: 0x2,
  CLOSE: 0x8,
  PING: 0x9,
  PONG: 0xa,
} as const;

/** One of the opcodes that RFC 6455 §5.2 defines. */
export type Opcode = typeof Opcode[keyof typeof Opcode];

/** True for the opcodes of control frames, defined and reserved ones: those whose highest bit is set (§5.5). */
export function isControl(opcode: number): boolean {
  return (opcode & 0x8) !== 0;
}

/** True for the opcodes with which a message begins (§5.4, §5.6). */
export function isData(opcode: number): boolean {
  return opcode === Opcode.TEXT || opcode === Opcode.BINARY;
}

/** False for the reserved opcodes, 0x3–0x7 and 0xB–0xF: both ranges use only their first three values. */
export function isKnownOpcode(opcode: number): opcode is Opcode {
  return (opcode & 0x7) <= 2;
}
