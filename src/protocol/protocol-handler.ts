/** The interface between `ServerProtocol` and the code around it, and the states of a connection. */
import type { Opcode } from "./opcode.ts";

/**
 * What `ServerProtocol` calls: with everything that it has read, with the frames that it has to send, and to share the
 * time of the process with others. None of these methods may throw.
 */
export interface ProtocolHandler {
  /** A whole binary message has been read. The bytes belong to the handler from then on. */
  onBinary(payload: Uint8Array): void;
  /**
   * A whole text message has been read.
   *
   * @param payload the UTF-8 bytes of the text, when it has at least 16 KiB and was not compressed
   * @returns true when something goes on using `payload`, so that its memory must be neither used again nor given back
   */
  onText(text: string, payload?: Uint8Array): boolean;
  /** A Ping has been read. The Pong, if one may still be sent, has already been given to `writeControl`. */
  onPing(payload: Uint8Array): void;
  /** A Pong has been read. */
  onPong(payload: Uint8Array): void;
  /**
   * With `true`: reading stops until a message has been decompressed asynchronously, or until others have had their
   * turn. With `false`: the wait is over, so that reading goes on unless it is paused. When one wait directly follows
   * another, `true` comes twice without a `false` between.
   */
  onBusy(isBusy: boolean): void;
  /**
   * True when reading has taken so long that others should have their turn. Called before a frame is read, once in 32
   * frames and after each decompressed message.
   */
  isTurnOver(): boolean;
  /** Calls `resume` once, after others have had their turn. */
  yieldTurn(resume: () => void): void;
  /** Sends a control frame, a Pong or a Close, behind everything that was sent before. */
  writeControl(opcode: Opcode, payload: Uint8Array): void;
  /**
   * Nothing more is read or sent, so that the handler can close the TCP connection (§7.1.1). Called at most once,
   * after the peer's Close frame or a fault of the peer, which `closeReceived` or `error` of the protocol tells. A call
   * of `terminate` does not lead to this one.
   */
  onFinished(): void;
}

/**
 * The state of the protocol, RFC 6455 §7.1: `open` at first, `closing` from the Close frame of the server to that of
 * the peer, `closed` once nothing more is read or sent.
 */
export type ProtocolState = "open" | "closing" | "closed";
