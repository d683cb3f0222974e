/** The socket of routes with the option `textHeartbeat`. */
import { ServerSocket } from "./server-socket.ts";

/** What a client sends to find out whether the connection is alive: ENQ, "enquiry". */
const QUESTION = "\x05";

/** What it gets: ACK, "acknowledge". No person types one of these characters, and neither is JSON. */
const ANSWER = "\x06";

/**
 * A socket that answers the heartbeat of `spacenode/client`, which nobody above gets to see. A class of its own, so
 * that the sockets of other routes pay nothing for it.
 */
export class AnsweringSocket extends ServerSocket {
  override onMessage(data: string | Uint8Array, isBinary: boolean): void {
    if (data === QUESTION) this.deliver(ANSWER);
    else super.onMessage(data, isBinary);
  }
}
