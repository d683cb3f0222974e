/** The opcodes of RFC 6455 §5.2. All others are reserved. */
export const Opcode = {
  CONTINUATION: 0x0,
  TEXT: 0x1,
  BINARY: 0x2,
  CLOSE: 0x8,
  PING: 0x9,
  PONG: 0xa,
} as const;

/** One of the six opcodes that RFC 6455 defines. */
export type Opcode = typeof Opcode[keyof typeof Opcode];

/** §5.5: control frames are those whose opcode has its highest bit set. */
export function isControl(opcode: number): boolean {
  return (opcode & 0x8) !== 0;
}

/** Whether a frame is the first, or the only one, of a message. */
export function isData(opcode: number): boolean {
  return opcode === Opcode.TEXT || opcode === Opcode.BINARY;
}

/** False for the reserved opcodes, 0x3–0x7 and 0xB–0xF: both ranges use only their first three values. */
export function isKnownOpcode(opcode: number): opcode is Opcode {
  return (opcode & 0x7) <= 2;
}
