/** Reads the messages of a typed route: JSON that fits a schema. */
import type { Buffer } from "node:buffer";
import { hasProtoKey, isTooDeep, MAX_JSON_DEPTH } from "./json.ts";
import type { StandardIssue, StandardResult, Validate } from "./standard-schema.ts";

interface Misfit {
  readonly issues: readonly StandardIssue[];
}

const BINARY = misfit("The message is binary, but a text with JSON is expected");
const NO_JSON = misfit("The message is not JSON");
const TOO_DEEP = misfit(`The message is nested more than ${MAX_JSON_DEPTH} levels deep`);
const PROTO_KEY = misfit('The message has the key "__proto__"');
const SCHEMA_REASON = "The message does not fit the schema";

/** Makes values of messages. A route has one reader for all its sockets. */
export class MessageReader {
  readonly #validate: Validate;

  constructor(validate: Validate) {
    this.#validate = validate;
  }

  /** Gives the value of a message, or the reasons why it does not fit. Throws, or rejects, if the schema does. */
  read(message: string | Buffer): StandardResult<unknown> | PromiseLike<StandardResult<unknown>> {
    if (typeof message !== "string") return BINARY;
    if (isTooDeep(message)) return TOO_DEEP;
    let value: unknown;
    try {
      value = JSON.parse(message);
    } catch {
      return NO_JSON;
    }
    return hasProtoKey(message, value) ? PROTO_KEY : this.#validate(value);
  }
}

/**
 * Gives the reason of the Close frame for a message that does not fit. It is one of a few fixed texts: the words of a
 * schema may be long, or tell more than a client should know.
 */
export function closeReason(issues: readonly StandardIssue[]): string {
  const isOwn = [BINARY, NO_JSON, TOO_DEEP, PROTO_KEY].some((own) => own.issues === issues);
  return isOwn ? issues[0].message : SCHEMA_REASON;
}

function misfit(message: string): Misfit {
  return Object.freeze({ issues: Object.freeze([Object.freeze({ message })]) });
}
