import { Opcode } from "./opcode.ts";

/** Where a connection hands out what it has read, and what it has to say. Nothing here may throw. */
export interface ProtocolHandler {
  /** A whole binary message: bytes that belong to the receiver. */
  onBinary(payload: Uint8Array): void;
  /**
   * A whole text message. Of a large one, `payload` is what it came in.
   *
   * @returns whether the payload is still in use
   */
  onText(text: string, payload?: Uint8Array): boolean;
  /** A Ping; the Pong has already gone out. */
  onPing(payload: Uint8Array): void;
  onPong(payload: Uint8Array): void;
  /** Reading stops until a message has been inflated elsewhere, or until others have had their turn; or that is over. */
  onBusy(isBusy: boolean): void;
  /** Whether reading has taken so long that others should have their turn. Asked before a frame is read, once in some frames. */
  isTurnOver(): boolean;
  /** Calls `resume`, once, when others have had their turn. */
  yieldTurn(resume: () => void): void;
  /** A control frame to be sent behind all that was sent before. */
  writeControl(opcode: Opcode, payload: Uint8Array): void;
  /** Nothing more is read or sent: `closeReceived` or `error` say why. The TCP connection is to be ended. */
  onFinished(): void;
}

/** RFC 6455 §7.1: `closing` once our Close is out and the peer's is not in, `closed` once nothing more is read or sent. */
export type ProtocolState = "open" | "closing" | "closed";
