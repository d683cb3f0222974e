/** The state machine of a connection: reads frames, joins fragments, answers control frames, and closes or fails. */
import { ByteQueue } from "./byte-queue.ts";
import { CloseCode, type CloseStatus, decodeClose, encodeClose, MAX_CONTROL_PAYLOAD_BYTES } from "./close.ts";
import type { Codec } from "./codec.ts";
import { ProtocolError } from "./errors.ts";
import { decodeHeader, type FrameHeader, MAX_SHORT_BYTES, SHORT_HEADER_BYTES } from "./frame-header.ts";
import { HEADROOM_FROM_BYTES, noteHeadroom } from "./headroom.ts";
import { unmask, unmaskShort } from "./mask.ts";
import { checkMessageBytes, invalidText, type MessageLimits, PartialMessage } from "./message.ts";
import { isControl, isData, Opcode } from "./opcode.ts";
import type { Inflater } from "./permessage-deflate.ts";
import type { ProtocolHandler, ProtocolState } from "./protocol-handler.ts";

/**
 * How many frames are read between two calls of `ProtocolHandler.isTurnOver`. Small frames take some 10 µs together,
 * and one decompressed message takes as long as all of them.
 */
const FRAMES_PER_CHECK = 32;

/**
 * The server's side of one WebSocket connection, RFC 6455 §5 to §8, without any I/O: `receive` takes the bytes of the
 * peer, and the handler gets the messages and the control frames that are to be sent.
 */
export class ServerProtocol {
  #state: ProtocolState = "open";
  #closeSent: CloseStatus | undefined;
  #closeReceived: CloseStatus | undefined;
  #error: ProtocolError | undefined;

  /** The frame whose payload is still coming, and how many bytes of the payload were received. */
  #header: FrameHeader | undefined;
  #receivedBytes = 0;
  /** The data message that is still coming, and the control frame whose payload is still coming. */
  #message: PartialMessage | undefined;
  #control: PartialMessage | undefined;
  #completedUnits = 0;

  /** Received bytes that could not be read yet. */
  #unread: ByteQueue | undefined;
  /** True while frames are read, so that a call from inside a handler does not start to read a second time. */
  #isReading = false;
  /** True when a payload that was handed out, or bytes that wait to be read, may lie in the last received chunk. */
  #isChunkKept = false;
  #isPaused = false;
  /** True while reading waits and will go on by itself, see `ProtocolHandler.onBusy`. */
  #isBusy = false;
  #framesUntilCheck = FRAMES_PER_CHECK;
  /** True when a message has been decompressed since the last call of `ProtocolHandler.isTurnOver`. */
  #hasInflated = false;

  readonly #handler: ProtocolHandler;
  readonly #codec: Codec;
  readonly #limits: MessageLimits;
  readonly #inflater: Inflater | undefined;

  /**
   * @param handler gets everything that is read and that has to be sent
   * @param codec the memory and the text functions of the runtime
   * @param limits the limits of a message
   * @param inflater decompresses messages; given only when permessage-deflate was agreed on (RFC 7692)
   */
  constructor(handler: ProtocolHandler, codec: Codec, limits: MessageLimits, inflater?: Inflater) {
    this.#handler = handler;
    this.#codec = codec;
    this.#limits = limits;
    this.#inflater = inflater;
  }

  /** The state of the connection as the protocol sees it, §7.1. */
  get state(): ProtocolState {
    return this.#state;
  }

  /** The code and the reason of the Close frame that was sent, or `undefined` before one was sent. */
  get closeSent(): CloseStatus | undefined {
    return this.#closeSent;
  }

  /** The code and the reason of the peer's Close frame, or `undefined` before one was received. */
  get closeReceived(): CloseStatus | undefined {
    return this.#closeReceived;
  }

  /** The error with which the connection has failed (§7.1.7), or `undefined` when it has not failed. */
  get error(): ProtocolError | undefined {
    return this.#error;
  }

  /** True between `pause` and `resume`. */
  get isPaused(): boolean {
    return this.#isPaused;
  }

  /** True while reading waits and will go on by itself: a message is being decompressed, or others have their turn. */
  get isBusy(): boolean {
    return this.#isBusy;
  }

  /** True while nothing is read, because the connection is paused or busy. */
  get isSuspended(): boolean {
    return this.#isPaused || this.#isBusy;
  }

  /** True when received bytes wait to be read. */
  get hasUnread(): boolean {
    return this.#unread?.isEmpty === false;
  }

  /**
   * True when the beginning of a message or of a control frame has been received but not its end, and when received
   * bytes wait to be read.
   */
  get isMidMessage(): boolean {
    return this.#header !== undefined || this.#message !== undefined || this.hasUnread;
  }

  /**
   * How many messages, and control frames that stand between messages, have been received completely. While
   * `isMidMessage` is true, this number tells messages apart: as long as the number stays the same, the same message is
   * coming.
   */
  get completedUnits(): number {
    return this.#completedUnits;
  }

  /**
   * Reads the next bytes of the peer and calls the handler for each message and control frame in them. While the
   * connection is suspended, the bytes wait to be read. After the connection has been closed, they are ignored.
   *
   * @param chunk bytes of the kind that `Codec.allocate` gives. The protocol owns them from now on: payloads are
   * unmasked in place, and a message that is all of its chunk may be handed out as a view of the chunk.
   * @returns true when nothing refers to the chunk any more, so that its memory can be used again; false when a payload
   * that was handed out, or bytes that wait to be read, may lie in the chunk
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

  /**
   * Stops reading, also in the middle of a chunk: the handler gets nothing more until `resume`. Bytes that were
   * received, or are received meanwhile, are kept.
   */
  pause(): void {
    this.#isPaused = true;
  }

  /** Ends a pause and reads the bytes that wait. While the connection is busy, these bytes go on waiting. */
  resume(): void {
    this.#isPaused = false;
    this.#readQueue();
  }

  /**
   * Starts the closing handshake, §7.1.2: sends a Close frame. Reading goes on until the peer's Close frame has been
   * received. The call has no effect unless the state is `open`.
   *
   * @param code a code that may be sent, see `isValidCloseCode`, or 1005 for a Close frame without a code
   * @param reason the reason as a text
   * @param reasonBytes the same reason in UTF-8, at most 123 bytes
   */
  close(code: number, reason: string, reasonBytes: Uint8Array): void {
    if (this.#state !== "open") return;
    this.#state = "closing";
    this.#sendClose({ code, reason }, reasonBytes);
  }

  /**
   * Fails the connection, §7.1.7: sends a Close frame with the code of the error, unless one has been sent already,
   * and reads nothing more. The call has no effect when the state is `closed`.
   */
  fail(error: ProtocolError): void {
    if (this.#state === "closed") return;
    this.#error = error;
    this.#sendClose({ code: error.closeCode, reason: "" }, NO_BYTES);
    this.#finish();
  }

  /**
   * Ends the protocol without a Close frame, because the TCP connection is gone or about to be cut. Nothing more is
   * read or sent, and `ProtocolHandler.onFinished` is not called for this.
   */
  terminate(): void {
    this.#state = "closed";
    this.#isBusy = false;
    this.#discardUnfinished();
  }

  /** Ends the protocol after a closing handshake or a fault. */
  #finish(): void {
    this.terminate();
    this.#handler.onFinished();
  }

  /** Drops everything that was received but not handed out. */
  #discardUnfinished(): void {
    this.#header = undefined;
    this.#message = undefined;
    this.#control = undefined;
    this.#unread = undefined;
    this.#inflater?.close();
  }

  /** Sends a Close frame, unless one has been sent already. */
  #sendClose(status: CloseStatus, reasonBytes: Uint8Array): void {
    if (this.#closeSent !== undefined) return;
    this.#closeSent = status;
    this.#handler.writeControl(Opcode.CLOSE, encodeClose(status.code, reasonBytes));
  }

  #queue(): ByteQueue {
    return this.#unread ??= new ByteQueue();
  }

  /** Reads the bytes that wait, as far as that is possible now. */
  #readQueue(): void {
    while (this.#unread !== undefined && !this.#isReading && !this.isSuspended) {
      const chunk = this.#unread.shift();
      if (chunk === undefined) return;
      const consumed = this.#read(chunk);
      if (consumed < chunk.length && !this.#putBack(chunk.subarray(consumed))) return;
    }
  }

  /** Keeps the unread rest of a chunk. True when reading can go on at once. */
  #putBack(rest: Uint8Array): boolean {
    if (this.#state === "closed") return false;
    if (!this.isSuspended) return this.#queue().unshiftJoined(rest, this.#codec.allocate);
    this.#queue().unshift(rest);
    this.#isChunkKept = true;
    return false;
  }

  /**
   * Reads frames until the bytes end or reading stops. Faults of the peer fail the connection. Gives how many bytes
   * were read.
   */
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

  /** Fails the connection for a fault of the peer. Any other error is a fault of the program and is thrown on. */
  #failFor(error: unknown): void {
    if (!(error instanceof ProtocolError)) throw error;
    this.fail(error);
  }

  #readFrames(bytes: Uint8Array): number {
    const end = bytes.length;
    let at = 0;
    const inflates = this.#inflater !== undefined;
    // A local variable counts the frames: counting in the private field would cost 10 ns per frame.
    let framesUntilCheck = this.#framesUntilCheck;
    // Every call of the handler may pause or close the connection, so both are checked again before the next frame.
    while (at < end && !this.isSuspended && this.#state !== "closed") {
      if (--framesUntilCheck < 0 || (inflates && this.#hasInflated)) {
        framesUntilCheck = FRAMES_PER_CHECK - 1;
        if (this.#yieldTurnIfOver()) break;
      }
      let header = this.#header;
      if (header === undefined) {
        const shortEnd = this.#readShort(bytes, at, end);
        if (shortEnd !== NOT_SHORT) {
          at = shortEnd;
          continue;
        }
        header = decodeHeader(bytes, at, end);
        if (header === undefined) break;
        this.#checkOrder(header);
        at += header.byteLength;
        const payloadEnd = at + header.payloadLength;
        if (payloadEnd <= end && this.#isUnfragmented(header)) {
          this.#readWhole(header, bytes, at, payloadEnd);
          at = payloadEnd;
          continue;
        }
        this.#beginFrame(header);
      }
      at = this.#readPart(header, bytes, at);
    }
    this.#framesUntilCheck = framesUntilCheck;
    return at;
  }

  /**
   * Reads a short message as most messages are: one frame of less than 126 bytes, not compressed, that lies in the
   * chunk. Such a frame needs no object for its header, and its bytes are unmasked while they are copied.
   *
   * @returns where the frame ends, or `NOT_SHORT` for every other frame, of which nothing is read
   */
  #readShort(bytes: Uint8Array, start: number, end: number): number {
    const payloadStart = start + SHORT_HEADER_BYTES;
    if (payloadStart > end) return NOT_SHORT;
    // FIN and the mask bit must be set, and nothing else beside the opcode and the length.
    const opcode = bytes[start] ^ 0x80;
    const length = bytes[start + 1] ^ 0x80;
    const payloadEnd = payloadStart + length;
    if (opcode !== Opcode.TEXT && opcode !== Opcode.BINARY || length > MAX_SHORT_BYTES || payloadEnd > end) {
      return NOT_SHORT;
    }
    if (this.#message !== undefined || length > this.#limits.maxMessageBytes) return NOT_SHORT;
    if (opcode === Opcode.TEXT) {
      const allBits = unmaskShort(bytes, payloadStart, bytes, payloadStart, length);
      this.#readText(bytes, payloadStart, payloadEnd, (allBits & 0x80) === 0);
      return payloadEnd;
    }
    const codec = this.#codec;
    if (length >= codec.stayFromBytes && start === 0 && payloadEnd === end) return NOT_SHORT;
    const payload = codec.allocate(length);
    unmaskShort(payload, 0, bytes, payloadStart, length);
    this.#completedUnits++;
    this.#handler.onBinary(payload);
    return payloadEnd;
  }

  /** Lets others have their turn when this connection has had its own. True when reading has stopped for that. */
  #yieldTurnIfOver(): boolean {
    this.#hasInflated = false;
    if (!this.#handler.isTurnOver()) return false;
    this.#beginBusy();
    this.#handler.yieldTurn(() => this.#endBusy());
    return true;
  }

  /** Stops reading until `#endBusy`. */
  #beginBusy(): void {
    this.#isBusy = true;
    this.#isChunkKept = true;
    this.#handler.onBusy(true);
  }

  /**
   * Ends the wait that `#beginBusy` began, and goes on reading.
   *
   * @param next deals with the result for which reading has waited, before the next frame is read
   */
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

  /**
   * Checks the order of frames, §5.4: the fragments of one message follow each other, with only control frames
   * between.
   */
  #checkOrder(header: FrameHeader): void {
    // RFC 7692 §6: RSV1 may be set only when permessage-deflate was agreed on, and only on the first frame of a
    // message.
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

  /** True when the frame is a control frame or a message in one frame. */
  #isUnfragmented(header: FrameHeader): boolean {
    return header.fin && header.opcode !== Opcode.CONTINUATION;
  }

  /**
   * Reads a whole frame whose payload lies in the chunk, as is so for most frames. The payload is unmasked in place.
   */
  #readWhole(header: FrameHeader, bytes: Uint8Array, start: number, end: number): void {
    const { opcode, payloadLength, maskingKey, byteLength } = header;
    if (!isControl(opcode)) checkMessageBytes(payloadLength, this.#limits, header.rsv1);
    const allBits = unmask(bytes, start, end, maskingKey);
    if (header.rsv1) return this.#inflate(opcode === Opcode.TEXT, bytes.subarray(start, end));
    if (opcode === Opcode.TEXT) return this.#readText(bytes, start, end, (allBits & 0x80) === 0);
    const frameStart = start - byteLength;
    const payload = this.#codec.isolate(bytes, frameStart, start, end);
    // A frame that is the whole chunk may have left its payload there.
    if (frameStart === 0 && end === bytes.length) this.#isChunkKept = true;
    if (opcode !== Opcode.BINARY) return this.#handleControl(opcode, payload);
    this.#completedUnits++;
    this.#handler.onBinary(payload);
  }

  /** Reads a text in one frame, whose unmasked payload lies in the chunk. */
  #readText(bytes: Uint8Array, start: number, end: number, isAscii: boolean): void {
    const text = this.#decode(bytes, start, end, isAscii);
    this.#completedUnits++;
    if (end - start < HEADROOM_FROM_BYTES) return void this.#handler.onText(text);
    const payload = bytes.subarray(start, end);
    noteHeadroom(payload);
    if (this.#handler.onText(text, payload)) this.#isChunkKept = true;
  }

  /** Decodes a whole text, and checks its UTF-8 unless the text is known to be ASCII (§8.1). */
  #decode(bytes: Uint8Array, start: number, end: number, isAscii: boolean): string {
    if (isAscii) return this.#codec.decodeAscii(bytes, start, end);
    const text = this.#codec.decodeUtf8(bytes, start, end);
    if (text === undefined) throw invalidText();
    return text;
  }

  /** Decompresses a whole message and hands it out, at once or when the inflater has finished. */
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
    const { length } = message;
    // zlib leaves a message in its own memory, where free bytes may lie behind the message.
    const data = isText ? this.#decode(message, 0, length, false) : this.#codec.isolate(message, 0, 0, length);
    this.#completedUnits++;
    if (typeof data === "string") this.#handler.onText(data);
    else this.#handler.onBinary(data);
  }

  /** Begins a frame that is a fragment, or whose payload is not yet in the chunk as a whole. */
  #beginFrame(header: FrameHeader): void {
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
    this.#receivedBytes = 0;
  }

  /** Reads as much of the current frame's payload as the chunk has. Gives the position behind it. */
  #readPart(header: FrameHeader, bytes: Uint8Array, start: number): number {
    const message = (isControl(header.opcode) ? this.#control : this.#message)!;
    const end = Math.min(bytes.length, start + header.payloadLength - this.#receivedBytes);
    if (end > start && message.append(bytes.subarray(start, end), this.#receivedBytes, header.maskingKey)) {
      this.#isChunkKept = true;
    }
    this.#receivedBytes += end - start;
    if (this.#receivedBytes === header.payloadLength) this.#endFrame(header, message);
    return end;
  }

  /** Ends a frame whose payload has been received, and hands out its message if that ends too. */
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
    const { decodeAscii, decodeValidUtf8 } = this.#codec;
    const text = (message.isAscii ? decodeAscii : decodeValidUtf8)(payload, 0, payload.length);
    const isLarge = payload.length >= HEADROOM_FROM_BYTES;
    if (!this.#handler.onText(text, isLarge ? payload : undefined)) message.free();
  }

  #handleControl(opcode: Opcode, payload: Uint8Array): void {
    if (this.#message === undefined) this.#completedUnits++;
    switch (opcode) {
      case Opcode.PING:
        // §5.5.2: a Ping is answered with a Pong of the same payload. §5.5.1: nothing may be sent after a Close
        // frame.
        if (this.#state === "open") this.#handler.writeControl(Opcode.PONG, payload);
        return this.#handler.onPing(payload);
      case Opcode.PONG:
        return this.#handler.onPong(payload);
      default:
        return this.#handleClose(payload);
    }
  }

  /** Answers a Close frame with a Close frame of the same code and reason, §5.5.1. Nothing is read after it. */
  #handleClose(payload: Uint8Array): void {
    const status = decodeClose(payload, (bytes) => this.#codec.decodeUtf8(bytes, 0, bytes.length));
    this.#closeReceived = status;
    this.#sendClose(status, payload.subarray(2));
    this.#finish();
  }
}

const NO_BYTES = new Uint8Array(0);
/** What `#readShort` returns for a frame that it does not read. */
const NOT_SHORT = -1;
const CONTROL_LIMITS: MessageLimits = { maxMessageBytes: MAX_CONTROL_PAYLOAD_BYTES, maxFragments: 1 };
