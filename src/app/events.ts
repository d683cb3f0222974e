import type { Socket } from "./websocket/socket.ts";

/** What an app emits. */
export interface AppEvents {
  /** A socket of this process has subscribed to a topic. */
  join: [socket: Socket, topic: string];
  /** A socket of this process has left a topic: by `unsubscribe`, or because it has ended. */
  leave: [socket: Socket, topic: string];
}
