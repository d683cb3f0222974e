/** The sockets of routes with the option `textHeartbeat`. */
import { ServerSocket } from "./server-socket.ts";
import { TypedSocket } from "./typed-socket.ts";

/** What a client sends to find out whether the connection is alive: ENQ, "enquiry". */
const QUESTION = "\x05";

/** What it gets: ACK, "acknowledge". No person types one of these characters, and neither is JSON. */
const ANSWER = "\x06";

// deno-lint-ignore no-explicit-any -- TypeScript demands this type of the constructor of a class that is extended
type SocketClass = new (...args: any[]) => ServerSocket;

/**
 * Makes a class of sockets that answer the heartbeat of `spacenode/client`, which nobody above gets to see. These are
 * classes of their own, so that the sockets of other routes pay nothing for it.
 */
function answering<Base extends SocketClass>(base: Base): Base {
  return class extends base {
    override onMessage(data: string | Uint8Array, isBinary: boolean): void {
      if (data === QUESTION) this.deliver(ANSWER);
      else super.onMessage(data, isBinary);
    }
  };
}

export const AnsweringSocket: typeof ServerSocket = answering(ServerSocket);
export const AnsweringTypedSocket: typeof TypedSocket = answering(TypedSocket);
