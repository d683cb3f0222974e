/** The names of topics. */
import { show } from "../common/show.ts";

const MAX_TOPIC_LENGTH = 512;

/**
 * Whether a value can be the name of a topic: a string of 1 to 512 characters (UTF-16 code units) that does not begin
 * with U+0000 and has no lone surrogates.
 *
 * `subscribe` and `publish` throw for any other value, because a wrong topic is a fault of the program. If a client
 * chooses the topic, check it with this function first, and refuse the client:
 *
 * @example
 * ```ts
 * import { createApp, HttpError, isTopic } from "@spacenode/spacenode";
 *
 * const app = await createApp();
 * app.ws("/rooms/:room", {
 *   upgrade: (req) => {
 *     if (!isTopic(req.params.room)) throw new HttpError(404, "There is no such room");
 *   },
 * }, (socket, req) => {
 *   socket.subscribe(req.params.room);
 * });
 * ```
 */
export function isTopic(value: unknown): value is string {
  return typeof value === "string" && value !== "" && value.length <= MAX_TOPIC_LENGTH &&
    value.charCodeAt(0) !== 0 && value.isWellFormed();
}

/** @throws TypeError or RangeError if the value cannot be the name of a topic */
export function checkTopic(topic: unknown): void {
  if (!isTopic(topic)) throw faultOf(topic);
}

/** Makes the error that says why a value cannot be the name of a topic. */
function faultOf(topic: unknown): Error {
  if (typeof topic !== "string" || topic === "") {
    return new TypeError(`A topic is a string that is not empty; got ${show(topic)}`);
  }
  if (topic.length > MAX_TOPIC_LENGTH) {
    return new RangeError(`A topic has at most ${MAX_TOPIC_LENGTH} characters; got ${topic.length}`);
  }
  if (topic.charCodeAt(0) === 0) return new RangeError(`A topic does not begin with U+0000; got ${show(topic)}`);
  // UTF-8 has no lone surrogates: another process would see another topic.
  return new RangeError(`A topic has no lone surrogates; got ${show(topic)}`);
}
