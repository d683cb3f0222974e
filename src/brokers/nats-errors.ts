/** What the errors of JetStream mean, as `@nats-io/jetstream` and the package `nats` report them. */

const MESSAGE_NOT_FOUND = 10037;
const STREAM_NOT_FOUND = 10059;
const WRONG_LAST_SEQUENCE = 10071;

/** True if a message was not stored because it is not behind the message behind which it was to be. */
export function isConflict(error: unknown): boolean {
  return codeOf(error) === WRONG_LAST_SEQUENCE;
}

/** True if no message fits a query. */
export function isMessageMissing(error: unknown): boolean {
  return codeOf(error) === MESSAGE_NOT_FOUND;
}

/** The stream that was used is not there any more, and another one has its place. */
export class StreamGoneError extends Error {
  constructor() {
    super("The stream of histories was made anew");
  }
}

/** True if there is no stream with a name, or for a subject. */
export function isStreamMissing(error: unknown): boolean {
  return error instanceof StreamGoneError || codeOf(error) === STREAM_NOT_FOUND ||
    messageOf(error) === "no stream matches subject";
}

/** True if nobody has responded: no stream has the subject, or the account has no JetStream. */
export function isUnanswered(error: unknown): boolean {
  const { name, code } = Object(error) as { name?: unknown; code?: unknown };
  return name === "JetStreamNotEnabled" || code === "503";
}

function codeOf(error: unknown): unknown {
  const { code, api_error: apiError } = Object(error) as { code?: unknown; api_error?: { err_code?: unknown } };
  return apiError?.err_code ?? code;
}

function messageOf(error: unknown): unknown {
  return (Object(error) as { message?: unknown }).message;
}
