/** Which class the sockets of a route have. */
import type { Buffer } from "node:buffer";
import type { Socket as RawSocket } from "node:net";
import { AnsweringSocket, AnsweringTypedSocket } from "./answering-socket.ts";
import type { Typing } from "./route-options.ts";
import { type Agreed, ServerSocket, type ServerSocketSettings } from "./server-socket.ts";
import { TypedSocket } from "./typed-socket.ts";

/** Makes the socket of a connection whose handshake was accepted. */
export type CreateSocket = (raw: RawSocket, head: Buffer, agreed: Agreed, data: unknown) => ServerSocket;

/**
 * Gives the function that makes the sockets of a route.
 *
 * @param typing undefined when messages are strings and bytes both ways
 * @param answersHeartbeat whether the route has the option `textHeartbeat`
 */
export function socketCreator(
  settings: ServerSocketSettings,
  typing: Typing | undefined,
  answersHeartbeat: boolean,
): CreateSocket {
  if (typing === undefined) {
    const Plain = answersHeartbeat ? AnsweringSocket : ServerSocket;
    return (raw, head, agreed, data) => new Plain(raw, head, agreed, data, settings);
  }
  const Typed = answersHeartbeat ? AnsweringTypedSocket : TypedSocket;
  return (raw, head, agreed, data) => new Typed(raw, head, agreed, data, settings, typing);
}
