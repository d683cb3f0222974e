/** What the load does in one cell of the bench. */
import type { DeflateMode } from "../shared/deflate-modes.ts";

/**
 * `echo`: every connection waits for its own messages. `fan`: one connection sends, and all of them receive. `topics`:
 * one connection sends, and the subscribers of one topic receive, of another topic each time.
 * `handshake`: connections are opened and closed. `idle`: connections stay open and silent, and memory is measured.
 */
export type Work = "echo" | "fan" | "topics" | "handshake" | "idle";
/** What a peer does with a message: see `peers/support.ts`. */
export type Path = "/echo" | "/text" | "/fan" | "/publish" | "/read" | "/reply" | "/topics" | "/history" | "/typed";
/**
 * `text` is ASCII, and `non-ascii` has characters of one to four bytes. `topic` is ASCII that begins with the name of a
 * topic, and `json` is made like that of a chat.
 */
export type Payload = "binary" | "text" | "non-ascii" | "topic" | "json";

/** Messages of two sizes, and clients that do not all read at once. */
export interface Mixture {
  /** One message in this many is a large one. */
  largeEvery: number;
  largeBytes: number;
  /** One connection in this many is slow. */
  slowEvery: number;
  /** How long a slow connection waits until it reads the replies to what it has sent. */
  slowMs: number;
}

export interface Workload {
  /** The name of the cell. */
  id: string;
  work: Work;
  path: Path;
  payload: Payload;
  payloadBytes: number;
  /** True when all messages of all connections are the same one; otherwise each is another one. */
  same?: boolean;
  mixture?: Mixture;
  connections: number;
  /** Messages that a connection sends in one write, and whose replies it awaits before it sends the next ones. */
  inFlight: number;
  deflate: DeflateMode;
  /** True when the connections use TLS. */
  tls?: boolean;
  /** True when the server sends an empty text to each connection first. */
  greeted?: boolean;
}
