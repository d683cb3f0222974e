import type { Socket } from "./websocket/socket.ts";

/** The events of an app, each with the arguments of its listeners. {@link App.on} adds a listener. */
export interface AppEvents {
  /** A socket of this process has subscribed to a topic. */
  join: [socket: Socket, topic: string];
  /** A socket of this process has left a topic: by `unsubscribe`, or because it has begun to close. */
  leave: [socket: Socket, topic: string];
}
