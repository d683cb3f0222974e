/** A raw socket that discards what is written to it. */
import { Socket } from "node:net";

/** Counts as a socket of the operating system, so that nothing is copied for it. */
export const nowhere = {
  __proto__: Socket.prototype,
  writableLength: 0,
  destroyed: false,
  write: () => true,
  cork() {},
  uncork() {},
} as unknown as Socket;
