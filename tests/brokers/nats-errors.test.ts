/** The errors of JetStream, as the two packages report them. */
import { JetStreamApiError } from "@nats-io/jetstream";
import { expect, test } from "vitest";
import { isConflict, isMessageMissing, isStreamMissing, isUnanswered } from "../../src/brokers/nats-errors.ts";

function api(code: number): JetStreamApiError {
  return new JetStreamApiError({ code: 400, err_code: code, description: "a description" });
}

/** An error of the package `nats`. */
function old(code: number): Error {
  return Object.assign(new Error("a description"), { code: "400", api_error: { err_code: code } });
}

test.each<[name: string, error: unknown, meanings: string[]]>([
  ["wrong last sequence", api(10071), ["conflict"]],
  ["wrong last sequence, of nats", old(10071), ["conflict"]],
  ["no message found", api(10037), ["no message"]],
  ["no message found, of nats", old(10037), ["no message"]],
  ["stream not found", api(10059), ["no stream"]],
  ["stream not found, of nats", old(10059), ["no stream"]],
  ["no stream for a subject, of nats", new Error("no stream matches subject"), ["no stream"]],
  ["no response", Object.assign(new Error("no"), { name: "JetStreamNotEnabled" }), ["no response"]],
  ["no response, of nats", Object.assign(new Error("503"), { code: "503" }), ["no response"]],
  ["a timeout", new Error("timeout"), []],
  ["another error", api(10058), []],
  ["no error", undefined, []],
  ["null", null, []],
])("%s", (_name, error, meanings) => {
  const found = [
    isConflict(error) && "conflict",
    isMessageMissing(error) && "no message",
    isStreamMissing(error) && "no stream",
    isUnanswered(error) && "no response",
  ];
  expect(found.filter((meaning) => meaning !== false)).toEqual(meanings);
});
