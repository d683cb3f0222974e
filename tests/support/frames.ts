/**
 * Frames as a client sees them: builds masked frames, valid or deliberately invalid, and reads the server's frames
 * strictly. The code shares nothing with `src/protocol`, so that a mistake there is not repeated here.
 */

export const opcodes = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

export interface FrameOptions {
  fin?: boolean;
  /** The three reserved bits as a number: RSV1 is 4, RSV2 is 2, RSV3 is 1. */
  rsv?: number;
  /** The masking key, or `false` for a frame that is not masked. */
  maskingKey?: Uint8Array | false;
  /** Which of the three encodings of the length to use. The default is the shortest that fits. */
  lengthBits?: 7 | 16 | 64;
  /** The length in the header, if it is not that of the payload. */
  payloadLength?: number | bigint;
}

const defaultMaskingKey = Buffer.from([0x9b, 0x24, 0xe7, 0x50]);

/** The bytes of one client frame. */
export function frame(opcode: number, payload: string | Uint8Array = "", options: FrameOptions = {}): Buffer {
  const bytes = typeof payload === "string" ? Buffer.from(payload) : payload;
  const { fin = true, rsv = 0, maskingKey = defaultMaskingKey, payloadLength = bytes.length } = options;
  const header = encodeLength(BigInt(payloadLength), options.lengthBits);
  header[0] = (fin ? 0x80 : 0) | (rsv << 4) | opcode;
  if (maskingKey === false) return Buffer.concat([header, bytes]);
  header[1] |= 0x80;
  return Buffer.concat([header, maskingKey, masked(bytes, maskingKey)]);
}

export function text(payload: string | Uint8Array = "", options: FrameOptions = {}): Buffer {
  return frame(opcodes.text, payload, options);
}

export function binary(payload: string | Uint8Array = "", options: FrameOptions = {}): Buffer {
  return frame(opcodes.binary, payload, options);
}

export function continuation(payload: string | Uint8Array = "", options: FrameOptions = {}): Buffer {
  return frame(opcodes.continuation, payload, options);
}

export function ping(payload: string | Uint8Array = "", options: FrameOptions = {}): Buffer {
  return frame(opcodes.ping, payload, options);
}

export function pong(payload: string | Uint8Array = "", options: FrameOptions = {}): Buffer {
  return frame(opcodes.pong, payload, options);
}

/** A Close frame. Without a code, its payload is empty. */
export function close(code?: number, reason: string | Uint8Array = "", options: FrameOptions = {}): Buffer {
  return frame(opcodes.close, closeBody(code, reason), options);
}

export function closeBody(code?: number, reason: string | Uint8Array = ""): Buffer {
  if (code === undefined) return Buffer.alloc(0);
  return Buffer.concat([Buffer.from([code >> 8, code & 0xff]), Buffer.from(reason)]);
}

/** One message in fragments: the first has the opcode, and the last has FIN. */
export function fragmented(opcode: number, payloads: readonly (string | Uint8Array)[]): Buffer[] {
  return payloads.map((payload, index) =>
    frame(index === 0 ? opcode : opcodes.continuation, payload, { fin: index === payloads.length - 1 })
  );
}

/** The bytes cut into pieces of `size` bytes. The last piece may be shorter. */
export function pieces(bytes: Uint8Array, size: number): Uint8Array[] {
  const result: Uint8Array[] = [];
  for (let offset = 0; offset < bytes.length; offset += size) result.push(bytes.subarray(offset, offset + size));
  return result;
}

function encodeLength(payloadLength: bigint, lengthBits?: 7 | 16 | 64): Buffer {
  const bits = lengthBits ?? (payloadLength < 126n ? 7 : payloadLength < 65_536n ? 16 : 64);
  if (bits === 7) return Buffer.from([0, Number(payloadLength)]);
  const header = Buffer.alloc(bits === 16 ? 4 : 10);
  header[1] = bits === 16 ? 126 : 127;
  if (bits === 16) header.writeUInt16BE(Number(payloadLength), 2);
  else header.writeBigUInt64BE(payloadLength, 2);
  return header;
}

function masked(payload: Uint8Array, maskingKey: Uint8Array): Uint8Array {
  const result = new Uint8Array(payload.length);
  for (let i = 0; i < payload.length; i++) result[i] = payload[i] ^ maskingKey[i & 3];
  return result;
}

export interface ServerFrame {
  fin: boolean;
  opcode: number;
  payload: Buffer;
}

/** Reads the frames of a server, and throws at the first frame that breaks a rule of RFC 6455. */
export class ServerFrameReader {
  #chunks: Buffer[] = [];
  #length = 0;
  #wanted = 2;
  #fragmented = false;

  /** Takes the next bytes and gives the frames that are complete now. */
  *read(chunk: Uint8Array): Generator<ServerFrame> {
    this.#chunks.push(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength));
    this.#length += chunk.length;
    while (this.#length >= this.#wanted) {
      const bytes = this.#chunks.length === 1 ? this.#chunks[0] : Buffer.concat(this.#chunks);
      const header = readHeader(bytes);
      const frameLength = header.headerLength + header.payloadLength;
      this.#wanted = frameLength;
      this.#chunks = [bytes];
      if (bytes.length < frameLength) return;
      this.#checkOrder(header);
      this.#chunks = [bytes.subarray(frameLength)];
      this.#length -= frameLength;
      this.#wanted = 2;
      const payload = bytes.subarray(header.headerLength, frameLength);
      yield { fin: header.fin, opcode: header.opcode, payload };
    }
  }

  #checkOrder({ fin, opcode }: Header): void {
    if (opcode >= 8) return;
    const continues = opcode === opcodes.continuation;
    if (continues && !this.#fragmented) throw new Error("The server continued a message that it had not begun");
    if (!continues && this.#fragmented) throw new Error("The server began a message inside another");
    this.#fragmented = !fin;
  }
}

interface Header {
  fin: boolean;
  opcode: number;
  headerLength: number;
  payloadLength: number;
}

function readHeader(bytes: Buffer): Header {
  const [first, second] = bytes;
  const fin = first >= 0x80;
  const opcode = first & 0x0f;
  const shown = bytes.subarray(0, 10).toString("hex");
  if (first & 0x70) throw new Error(`The server set a reserved bit: ${shown}`);
  if (!Object.values<number>(opcodes).includes(opcode)) throw new Error(`The server used a reserved opcode: ${shown}`);
  if (second & 0x80) throw new Error(`The server masked a frame: ${shown}`);
  if (opcode >= 8 && (!fin || second > 125)) throw new Error(`The server sent a bad control frame: ${shown}`);
  const headerLength = second < 126 ? 2 : second === 126 ? 4 : 10;
  // The header is not complete yet. The caller waits for `headerLength` bytes and calls again.
  if (bytes.length < headerLength) return { fin, opcode, headerLength, payloadLength: 0 };
  const payloadLength = headerLength === 2
    ? second
    : headerLength === 4
    ? bytes.readUInt16BE(2)
    : Number(bytes.readBigUInt64BE(2));
  const shortest = payloadLength < 126 ? 2 : payloadLength < 65_536 ? 4 : 10;
  if (headerLength !== shortest) throw new Error(`The server's length is not minimal: ${shown}`);
  return { fin, opcode, headerLength, payloadLength };
}
