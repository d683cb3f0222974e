/** What `app.topic` takes: its options, and their check. */
import { show } from "../../common/show.ts";
import { checkNames, isObject, limit, throwInvalidOption, timeoutMs } from "../../common/validate.ts";
import type { HistoryLimits } from "../broker.ts";
import { toJsonFrame, type TopicFrame } from "./frames.ts";

/** Options of {@link App.topic}. */
export interface TopicOptions {
  /** The history of each topic: `true` for the defaults, or {@link HistoryOptions}. Default: none. */
  history?: boolean | HistoryOptions | undefined;
}

/** How much of a topic is kept, and in which form followers get it. */
export interface HistoryOptions {
  /** The most messages that are kept of one topic. The oldest ones go first. Default: 1,000. */
  size?: number | undefined;
  /** The age in milliseconds from which on a message is not kept any more. Default: 300,000, which is five minutes. */
  maxAgeMs?: number | undefined;
  /**
   * The most messages that one {@link Socket.follow} brings. A client that has missed more is not given a part of them:
   * it is told that nothing was recovered. Default: 300.
   */
  maxRecover?: number | undefined;
  /**
   * Makes what followers get of a {@link TopicMessage}, or of a {@link TopicNotice}, which has `recovered`: a string
   * for a text message, or bytes for a binary one. It is called once for all followers of a new message. A socket for
   * which it throws is closed with 1011. Default: their JSON, with bytes in base64 and `encoding: "base64"`.
   */
  frame?: TopicFrame | undefined;
}

/** The history of a topic: its options, checked and with every default in place. */
export interface ResolvedHistory extends HistoryLimits {
  readonly maxRecover: number;
  readonly frame: TopicFrame;
}

/**
 * Checks the options of `app.topic`, and puts the defaults in place.
 *
 * @returns undefined if the topic has no history
 * @throws TypeError if an option is unknown or of the wrong type, RangeError if a number is out of range
 */
export function resolveTopic(options: TopicOptions): ResolvedHistory | undefined {
  checkNames("app.topic", options, ["history"]);
  const { history = false } = options;
  if (history === false) return undefined;
  if (history !== true && !isObject(history)) {
    throwInvalidOption("history", history, "true, false, or { size, maxAgeMs, maxRecover, frame }");
  }
  const given: HistoryOptions = history === true ? {} : history;
  checkNames("history", given, ["size", "maxAgeMs", "maxRecover", "frame"]);
  const { frame = toJsonFrame } = given;
  if (typeof frame !== "function") throw new TypeError(`history.frame must be a function; got ${show(frame)}`);
  return Object.freeze({
    size: limit("history.size", given.size, 1_000),
    maxAgeMs: timeoutMs("history.maxAgeMs", given.maxAgeMs, 300_000),
    maxRecover: limit("history.maxRecover", given.maxRecover, 300),
    frame,
  });
}
