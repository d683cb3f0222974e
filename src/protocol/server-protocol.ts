import { ByteQueue } from "./byte-queue.ts";
import { CloseCode, type CloseStatus, decodeClose, encodeClose, MAX_CONTROL_PAYLOAD_BYTES } from "./close.ts";
import type { Codec } from "./codec.ts";
import { ProtocolError } from "./errors.ts";
import { decodeHeader, type FrameHeader } from "./frame-header.ts";
import { HEADROOM_FROM_BYTES, noteHeadroom } from "./headroom.ts";
import { unmask } from "./mask.ts";
import { checkMessageBytes, invalidText, type MessageLimits, PartialMessage } from "./message.ts";
import { isControl, isData, Opcode } from "./opcode.ts";
import type { Inflater } from "./permessage-deflate.ts";
import type { ProtocolHandler, ProtocolState } from "./protocol-handler.ts";
/** So many frames are read before `ProtocolHandler.isTurnOver` is asked: small ones take some 10 µs together. An inflated message takes as long as all of them. */
const FRAMES_PER_CHECK = 32;

/** The server's side of one WebSocket connection, RFC 6455 §5 to §8, without any I/O: bytes in, messages out. */
export class ServerProtocol {
  #state: ProtocolState = "open";
  #closeSent: CloseStatus | undefined;
  #closeReceived: CloseStatus | undefined;
  #error: ProtocolError | undefined;

  /** The frame whose payload is still coming, and how much of it is in. */
  #header: FrameHeader | undefined;
  #received = 0;
  /** The data message, or the control frame, whose payload is still coming. */
  #message: PartialMessage | undefined;
  #control: PartialMessage | undefined;
  #completedUnits = 0;

  #unread: ByteQueue | undefined;
  #isReading = false;
  /** Something that was handed out or put back lies in the chunk that was received last. */
  #isChunkKept = false;
  #isPaused = false;
  /** Reading goes on by itself later: see `ProtocolHandler.onBusy`. */
  #isBusy = false;
  #framesUntilCheck = FRAMES_PER_CHECK;
  /** A message has been inflated since `ProtocolHandler.isTurnOver` was asked. */
  #hasInflated = false;

  readonly #handler: ProtocolHandler;
  readonly #codec: Codec;
  readonly #limits: MessageLimits;
  readonly #inflater: Inflater | undefined;

  /** The inflater is there when permessage-deflate was agreed on. */
  constructor(handler: ProtocolHandler, codec: Codec, limits: MessageLimits, inflater?: Inflater) {
    this.#handler = handler;
    this.#codec = codec;
    this.#limits = limits;
    this.#inflater = inflater;
  }

  get state(): ProtocolState {
    return this.#state;
  }

  /** The Close frame that we sent. */
  get closeSent(): CloseStatus | undefined {
    return this.#closeSent;
  }

  /** The Close frame that the peer sent. */
  get closeReceived(): CloseStatus | undefined {
    return this.#closeReceived;
  }

  /** The fault of the peer that ended the connection. */
  get error(): ProtocolError | undefined {
    return this.#error;
  }

  get isPaused(): boolean {
    return this.#isPaused;
  }

  /** Whether reading goes on by itself later: a message is being inflated, or others have their turn. */
  get isBusy(): boolean {
    return this.#isBusy;
  }

  /** Whether nothing is read for now. */
  get isSuspended(): boolean {
    return this.#isPaused || this.#isBusy;
  }

  /** Whether bytes have come that are still to be read. */
  get hasUnread(): boolean {
    return this.#unread?.isEmpty === false;
  }

  /** True while a message has begun to come and not ended. */
  get isMidMessage(): boolean {
    return this.#header !== undefined || this.#message !== undefined || this.hasUnread;
  }

  /** How many messages, and control frames outside of one, have come whole: what begins after a change of it is another. */
  get completedUnits(): number {
    return this.#completedUnits;
  }

  /**
   * Reads the next bytes, of the kind that the codec allocates. They belong to the connection from here on: payloads are unmasked in place.
   *
   * @returns true when nothing refers to the chunk any more, false when a payload, or what is still to be read, lies in it
   */
  receive(chunk: Uint8Array): boolean {
    if (this.#state === "closed") return true;
    if (this.#isReading || this.isSuspended || this.hasUnread) {
      this.#queue().push(chunk);
      this.#isChunkKept = true;
    } else {
      this.#isChunkKept = false;
      const consumed = this.#read(chunk);
      if (consumed < chunk.length && !this.#putBack(chunk.subarray(consumed))) return !this.#isChunkKept;
    }
    if (this.#unread !== undefined) this.#readQueue();
    return !this.#isChunkKept;
  }

  /** Stops reading: nothing is handed out until `resume`, and what has come is kept. */
  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    this.#readQueue();
  }

  /**
   * Starts the closing handshake, §7.1.2, with a code that may be sent and a reason of at most 123 bytes. Without effect when a Close frame has been sent
   * already.
   */
  close(code: number, reason: string, reasonBytes: Uint8Array): void {
    if (this.#state !== "open") return;
    this.#state = "closing";
    this.#sendClose({ code, reason }, reasonBytes);
  }

  /** Fails the connection, §7.1.7: says why in a Close frame and reads nothing more. */
  fail(error: ProtocolError): void {
    if (this.#state === "closed") return;
    this.#error = error;
    this.#sendClose({ code: error.closeCode, reason: "" }, NO_BYTES);
    this.#finish();
  }

  /** The TCP connection is gone, or about to be cut: nothing more is read or sent. */
  terminate(): void {
    this.#state = "closed";
    this.#isBusy = false;
    this.#forget();
  }

  #finish(): void {
    this.terminate();
    this.#handler.onFinished();
  }

  #forget(): void {
    this.#header = undefined;
    this.#message = undefined;
    this.#control = undefined;
    this.#unread = undefined;
    this.#inflater?.close();
  }

  #sendClose(status: CloseStatus, reasonBytes: Uint8Array): void {
    if (this.#closeSent !== undefined) return;
    this.#closeSent = status;
    this.#handler.writeControl(Opcode.CLOSE, encodeClose(status.code, reasonBytes));
  }

  #queue(): ByteQueue {
    return this.#unread ??= new ByteQueue();
  }

  #readQueue(): void {
    while (this.#unread !== undefined && !this.#isReading && !this.isSuspended) {
      const chunk = this.#unread.shift();
      if (chunk === undefined) return;
      const consumed = this.#read(chunk);
      if (consumed < chunk.length && !this.#putBack(chunk.subarray(consumed))) return;
    }
  }

  /** Keeps what was not read; true when reading can go on at once. */
  #putBack(rest: Uint8Array): boolean {
    if (this.#state === "closed") return false;
    if (!this.isSuspended) return this.#queue().unshiftJoined(rest, this.#codec.allocate);
    this.#queue().unshift(rest);
    this.#isChunkKept = true;
    return false;
  }

  /** Reads as many frames as are there and gives how many bytes that took. Faults become a Close frame here and nowhere else. */
  #read(bytes: Uint8Array): number {
    this.#isReading = true;
    try {
      return this.#readFrames(bytes);
    } catch (error) {
      this.#failFor(error);
      return bytes.length;
    } finally {
      this.#isReading = false;
    }
  }

  #failFor(error: unknown): void {
    if (!(error instanceof ProtocolError)) throw error;
    this.fail(error);
  }

  #readFrames(bytes: Uint8Array): number {
    const end = bytes.length;
    let at = 0;
    // Each call out may pause or close the connection: both are looked at again before the next frame.
    const inflates = this.#inflater !== undefined;
    // To count in the field would cost 10 ns a frame.
    let framesUntilLook = this.#framesUntilCheck;
    while (at < end && !this.isSuspended && this.#state !== "closed") {
      if (--framesUntilLook < 0 || (inflates && this.#hasInflated)) {
        framesUntilLook = FRAMES_PER_CHECK - 1;
        if (this.#yieldsTurn()) break;
      }
      let header = this.#header;
      if (header === undefined) {
        header = decodeHeader(bytes, at, end);
        if (header === undefined) break;
        this.#checkSequence(header);
        at += header.byteLength;
        const payloadEnd = at + header.payloadLength;
        if (payloadEnd <= end && this.#isWhole(header)) {
          this.#readWhole(header, bytes, at, payloadEnd);
          at = payloadEnd;
          continue;
        }
        this.#begin(header);
      }
      at = this.#readPart(header, bytes, at);
    }
    this.#framesUntilCheck = framesUntilLook;
    return at;
  }

  /** Whether others are to have their turn before the next frame is read. */
  #yieldsTurn(): boolean {
    this.#hasInflated = false;
    if (!this.#handler.isTurnOver()) return false;
    this.#beginBusy();
    this.#handler.yieldTurn(() => this.#endBusy());
    return true;
  }

  #beginBusy(): void {
    this.#isBusy = true;
    this.#isChunkKept = true;
    this.#handler.onBusy(true);
  }

  /** Goes on where reading has stopped. `next` deals with what it has waited for. */
  #endBusy(next?: () => void): void {
    if (this.#state === "closed") return;
    this.#isBusy = false;
    try {
      next?.();
    } catch (error) {
      this.#failFor(error);
    }
    this.#readQueue();
    if (!this.#isBusy) this.#handler.onBusy(false);
  }

  /** §5.4: the fragments of one message follow each other, and only control frames stand between them. */
  #checkSequence(header: FrameHeader): void {
    // RFC 7692 §6: only with permessage-deflate, and there on the first frame of a message.
    if (header.rsv1 && (this.#inflater === undefined || !isData(header.opcode))) {
      throw new ProtocolError(CloseCode.PROTOCOL_ERROR, "RSV1 must be 0");
    }
    if (isControl(header.opcode)) return;
    if (header.opcode === Opcode.CONTINUATION) {
      if (this.#message !== undefined) return;
      throw new ProtocolError(CloseCode.PROTOCOL_ERROR, "A continuation frame has no message to continue");
    }
    if (this.#message !== undefined) {
      throw new ProtocolError(CloseCode.PROTOCOL_ERROR, "A new message began inside a fragmented one");
    }
  }

  #isWhole(header: FrameHeader): boolean {
    return header.fin && header.opcode !== Opcode.CONTINUATION;
  }

  /** The short way of most frames: the payload lies in the chunk, and is unmasked where it lies. */
  #readWhole(header: FrameHeader, bytes: Uint8Array, start: number, end: number): void {
    const { opcode, payloadLength, maskingKey } = header;
    if (!isControl(opcode)) checkMessageBytes(payloadLength, this.#limits, header.rsv1);
    const seen = unmask(bytes, start, end, maskingKey);
    if (header.rsv1) return this.#inflate(opcode === Opcode.TEXT, bytes.subarray(start, end));
    if (opcode === Opcode.TEXT) return this.#readText(bytes, start, end, (seen & 0x80) === 0);
    // The receiver may keep it: a view costs less than a copy, and holds no more than the chunk.
    const payload = bytes.subarray(start, end);
    this.#isChunkKept = true;
    if (opcode !== Opcode.BINARY) return this.#handleControl(opcode, payload);
    noteHeadroom(payload);
    this.#completedUnits++;
    this.#handler.onBinary(payload);
  }

  /** Text that lies in the chunk. */
  #readText(bytes: Uint8Array, start: number, end: number, isAscii: boolean): void {
    const text = this.#decode(bytes, start, end, isAscii);
    this.#completedUnits++;
    if (end - start < HEADROOM_FROM_BYTES) return void this.#handler.onText(text);
    const payload = bytes.subarray(start, end);
    noteHeadroom(payload);
    if (this.#handler.onText(text, payload)) this.#isChunkKept = true;
  }

  /** The text of a payload of which only is known whether it is ASCII. */
  #decode(bytes: Uint8Array, start: number, end: number, isAscii: boolean): string {
    const { isUtf8, decodeAscii, decodeUtf8 } = this.#codec;
    if (isAscii) return decodeAscii(bytes, start, end);
    if (!isUtf8(bytes.subarray(start, end))) throw invalidText();
    return decodeUtf8(bytes, start, end);
  }

  #inflate(isText: boolean, payload: Uint8Array): void {
    this.#hasInflated = true;
    const message = this.#inflater!.inflate(payload, this.#limits.maxMessageBytes);
    if (!(message instanceof Promise)) return this.#handOutInflated(isText, message);
    this.#beginBusy();
    message.then(
      (bytes) => this.#endBusy(() => this.#handOutInflated(isText, bytes)),
      (error) => this.#endBusy(() => this.#failFor(error)),
    );
  }

  #handOutInflated(isText: boolean, message: Uint8Array): void {
    const text = isText ? this.#decode(message, 0, message.length, false) : undefined;
    this.#completedUnits++;
    if (text === undefined) this.#handler.onBinary(message);
    else this.#handler.onText(text);
  }

  /** Begins a frame that is part of a message, or whose payload is still coming. */
  #begin(header: FrameHeader): void {
    const codec = this.#codec;
    if (isControl(header.opcode)) {
      this.#control = new PartialMessage(false, false, CONTROL_LIMITS, codec, codec.isUtf8);
      this.#control.addFragment(header.payloadLength, true);
    } else {
      this.#message ??= new PartialMessage(
        header.opcode === Opcode.TEXT,
        header.rsv1,
        this.#limits,
        codec,
        codec.isUtf8,
      );
      this.#message.addFragment(header.payloadLength, header.fin);
    }
    this.#header = header;
    this.#received = 0;
  }

  #readPart(header: FrameHeader, bytes: Uint8Array, start: number): number {
    const message = (isControl(header.opcode) ? this.#control : this.#message)!;
    const end = Math.min(bytes.length, start + header.payloadLength - this.#received);
    if (end > start) message.append(bytes.subarray(start, end), this.#received, header.maskingKey);
    this.#received += end - start;
    if (this.#received === header.payloadLength) this.#endFrame(header, message);
    return end;
  }

  #endFrame(header: FrameHeader, message: PartialMessage): void {
    this.#header = undefined;
    if (!header.fin) return;
    const payload = message.finish();
    if (isControl(header.opcode)) {
      this.#control = undefined;
      return this.#handleControl(header.opcode, payload);
    }
    this.#message = undefined;
    if (message.isCompressed) return this.#inflate(message.isText, payload);
    this.#completedUnits++;
    if (!message.isText) return this.#handler.onBinary(payload);
    const { decodeAscii, decodeUtf8 } = this.#codec;
    const text = (message.isAscii ? decodeAscii : decodeUtf8)(payload, 0, payload.length);
    const isLarge = payload.length >= HEADROOM_FROM_BYTES;
    if (!this.#handler.onText(text, isLarge ? payload : undefined)) message.free();
  }

  #handleControl(opcode: Opcode, payload: Uint8Array): void {
    if (this.#message === undefined) this.#completedUnits++;
    switch (opcode) {
      case Opcode.PING:
        // §5.5.2: a Pong with the same payload, unless a Close frame has gone out: nothing follows that.
        if (this.#state === "open") this.#handler.writeControl(Opcode.PONG, payload);
        return this.#handler.onPing(payload);
      case Opcode.PONG:
        return this.#handler.onPong(payload);
      default:
        return this.#handleClose(payload);
    }
  }

  /** §5.5.1: a Close frame is answered with the same, and nothing is read after it. */
  #handleClose(payload: Uint8Array): void {
    const status = decodeClose(payload, (bytes) => {
      return this.#codec.isUtf8(bytes) ? this.#codec.decodeUtf8(bytes, 0, bytes.length) : undefined;
    });
    this.#closeReceived = status;
    this.#sendClose(status, payload.subarray(2));
    this.#finish();
  }
}

const NO_BYTES = new Uint8Array(0);
const CONTROL_LIMITS: MessageLimits = { maxMessageBytes: MAX_CONTROL_PAYLOAD_BYTES, maxFragments: 1 };
