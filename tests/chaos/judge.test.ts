/** The comparison of both ends finds every kind of fault, and nothing where there is none. */

import { describe, expect, test } from "vitest";
import { type Case, faultsOf, serverFaults } from "./judge.ts";
import { clientLabel, labelOf, messageOf, serverLabel } from "./messages.ts";
import { type ClientRecord, type CloseEvent, recordOf, type ServerRecord, type ServerReport } from "./records.ts";

const up = [0, 1, 2].map((n) => clientLabel(7, n));
const down = [0, 1, 2].map((n) => serverLabel(7, n));
const goneAway: CloseEvent = { code: 1001, reason: "", wasClean: true, isAppClosing: true };
const broken: CloseEvent = { code: 1006, reason: "", wasClean: false, isAppClosing: false };

/** A connection that has ended with the app. `changes` make something else of it. */
function caseOf(client: Partial<ClientRecord>, server: Partial<ServerRecord>, changes: Partial<Case> = {}): Case {
  return {
    plan: { id: 7 },
    client: {
      id: 7,
      isOpened: true,
      sent: 3,
      received: down,
      closing: undefined,
      isTerminated: false,
      code: 1001,
      failure: undefined,
      ...client,
    },
    server: [{ id: 7, received: up, sent: down, closes: [goneAway], errors: [], ...server }],
    isUndisturbed: true,
    isLast: true,
    ...changes,
  };
}

const disturbed: Partial<Case> = { isUndisturbed: false };
const without = (labels: string[], at: number): string[] => labels.toSpliced(at, 1);
const byClient: CloseEvent = { code: 3_000, reason: "done", wasClean: true, isAppClosing: false };

describe("one connection has a fault when", () => {
  test.each<[string, Case, RegExp]>([
    ["the last message of the client is missing", caseOf({}, { received: up.slice(0, 2) }), /server: 1 of 3 messages/],
    [
      "the last message of the server is missing",
      caseOf({ received: down.slice(0, 2) }, {}),
      /client: 1 of 3 messages/,
    ],
    ["a message in the middle is missing", caseOf({}, { received: without(up, 1) }, disturbed), /in front of 1 others/],
    ["a message comes twice", caseOf({ received: [...down, down[0]!] }, {}), /has come before/],
    ["two messages change places", caseOf({ received: down.toReversed() }, {}), /in front of 2 others/],
    ["a message is spoiled", caseOf({}, { received: ["a spoiled message"] }, disturbed), /was never sent/],
    ["a broken connection has a gap", caseOf({ received: [down[1]!] }, {}, disturbed), /in front of 1 others/],
    ["close does not come", caseOf({}, { closes: [] }), /close 0 times/],
    ["close comes twice", caseOf({}, { closes: [goneAway, goneAway] }), /close 2 times/],
    ["the code is not that of app.close", caseOf({}, { closes: [{ ...goneAway, code: 1000 }] }), /instead of 1001/],
    ["the code is not the client's", caseOf({ closing: 3_001 }, { closes: [byClient] }), /instead of 3001/],
    ["the code is not the handler's", caseOf({ code: 4_000 }, { closing: 4_000 }), /instead of 4000/],
    ["1001 comes too early", caseOf({}, { closes: [{ ...goneAway, isAppClosing: false }] }), /before the app closed/],
    ["an unclean end has a code", caseOf({}, { closes: [{ ...broken, code: 1000 }] }, disturbed), /instead of 1006/],
    ["an unclean end has a reason", caseOf({}, { closes: [{ ...broken, reason: "why" }] }, disturbed), /reason "why"/],
    ["the client gets another code", caseOf({ code: 1011 }, {}), /client's close event was 1011/],
    ["an undisturbed client gets no Close", caseOf({ code: 1006 }, {}), /got no Close/],
    ["an undisturbed end is not clean", caseOf({}, { closes: [broken] }), /end was not clean/],
    ["the socket emits an error", caseOf({}, { errors: ["Error: no"] }), /emitted the error Error: no/],
    [
      "its handler is called twice",
      caseOf({}, {}, { server: [caseOf({}, {}).server[0]!, caseOf({}, {}).server[0]!] }),
      /2 times/,
    ],
    ["its handler is not called", caseOf({}, {}, { server: [] }), /no handler was called/],
    [
      "an undisturbed handshake fails",
      caseOf({ isOpened: false, failure: "503" }, {}, { server: [], isLast: false }),
      /handshake has failed.*503/,
    ],
  ])("%s", (_name, each, fault) => {
    expect(faultsOf(each)).toEqual([expect.stringMatching(fault)]);
  });
});

describe("one connection has no fault when", () => {
  test.each<[string, Case]>([
    ["it ends with the app", caseOf({}, {})],
    ["the client closes", caseOf({ closing: 3_000, code: 3_000 }, { closes: [byClient] })],
    ["both close at once", caseOf({ closing: 3_000, code: 4_000 }, { closing: 4_000, closes: [byClient] })],
    [
      "it is broken, and both have the beginning",
      caseOf({ received: [], code: 1006 }, { received: up.slice(0, 1), closes: [broken] }, disturbed),
    ],
    [
      "the client terminates",
      caseOf({ received: [], code: 1006, isTerminated: true }, { received: [], closes: [broken] }),
    ],
    ["the client is killed", caseOf({ received: down.slice(0, 1), code: undefined }, { closes: [broken] }, disturbed)],
    ["its handshake is refused because the app closes", caseOf({ isOpened: false }, {}, { server: [] })],
  ])("%s", (_name, each) => {
    expect(faultsOf(each)).toEqual([]);
  });
});

describe("the server", () => {
  const state = { sockets: 0, connections: 0, topics: 0, busy: 0, messages: 3 };
  const report: ServerReport = {
    records: caseOf({}, {}).server,
    state,
    result: { closed: 1, terminated: 0 },
    complaints: [],
    closingMs: 10,
    exitingMs: 1,
  };

  test("has no fault when nothing is left, and app.close has counted the ends", () => {
    expect(serverFaults(report, 1_000)).toEqual([]);
  });

  test.each<[string, Partial<ServerReport>, RegExp]>([
    ["a socket is left", { state: { ...state, sockets: 1 } }, /still 1 sockets/],
    ["a connection is counted", { state: { ...state, connections: 2 } }, /still 2 connections/],
    ["a topic is left", { state: { ...state, topics: 1 } }, /still 1 topics/],
    ["a hook is at work", { state: { ...state, busy: 1 } }, /still 1 busy/],
    ["app.close has not resolved", { result: undefined }, /not resolved/],
    ["app.close counts wrongly", { result: { closed: 0, terminated: 1 } }, /app.close says/],
    ["app.close takes too long", { closingMs: 20_000 }, /took 20000 ms/],
    ["the process lives on", { exitingMs: 40_000 }, /kept the process alive/],
    ["the app complains", { complaints: ["no"] }, /^no$/],
  ])("has a fault when %s", (_name, changes, fault) => {
    expect(serverFaults({ ...report, ...changes }, 1_000)).toEqual([expect.stringMatching(fault)]);
  });
});

test("a message tells its label, whatever its kind and length, and does not when a part of it is missing", () => {
  const labels = Array.from({ length: 2_000 }, (_, n) => clientLabel(7, n));
  const messages = labels.map(messageOf);
  expect(messages.map(labelOf)).toEqual(labels);
  const shorter = messages.map((message) => typeof message === "string" ? message.slice(0, -1) : message.subarray(1));
  expect(shorter.map(labelOf).filter((label) => labels.includes(label))).toEqual([]);
  expect(new Set(messages.map((message) => typeof message))).toHaveLength(2);
});

test("the notes of a killed client tell what it was about to send, and what it got", () => {
  const record = recordOf(7, [
    ["opened", 7],
    ["opened", 8],
    ["sends", 7, 5],
    ["received", 7, down[0]!],
    ["received", 8, down[0]!],
    ["sends", 7, 9],
  ]);
  expect(record).toEqual({
    id: 7,
    isOpened: true,
    sent: 9,
    received: [down[0]],
    closing: undefined,
    isTerminated: false,
    code: undefined,
    failure: undefined,
  });
});
