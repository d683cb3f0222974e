import { setImmediate as nextTurn } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import type { HistoryPage, HistoryPosition } from "../../../../mod.ts";
import { resolveTopic } from "../../../../src/app/pubsub/history/history-options.ts";
import { MessageLog } from "../../../../src/app/pubsub/history/message-log.ts";
import { TopicHistory, type TopicStore } from "../../../../src/app/pubsub/history/topic-history.ts";
import { FakeSocket, topicsOf } from "../../../support/followers.ts";

/** A history of which the process has the end, and a store the rest: messages 1 to `newest` of epoch `e`. */
function history(newest: number, options: object = {}) {
  const got: unknown[] = [];
  const finds: (HistoryPosition | undefined)[] = [];
  const socket = new FakeSocket(topicsOf(undefined), false, (data) => {
    const { id, data: text, recovered } = JSON.parse(String(data));
    got.push(text ?? `${recovered} ${id}`);
  });
  socket.subscriptions = new Set(["news"]);
  const oldest = 3;
  const store: TopicStore = {
    find(after): Promise<HistoryPage> {
      finds.push(after);
      const isComplete = after === undefined || (after.epoch === "e" && after.offset >= oldest - 1);
      return Promise.resolve({ epoch: "e", oldest, newest, isComplete, messages: [] });
    },
    read({ epoch, offset }) {
      if (epoch !== "e" || offset < oldest - 1) return Promise.resolve({ lostUntil: { epoch: "e", offset: newest } });
      const messages = [];
      // The store gives two at a time.
      for (let i = offset + 1; i <= Math.min(Math.max(newest, log.epoch === "e" ? log.newest : 0), offset + 2); i++) {
        messages.push({ offset: i, data: `${i}` });
      }
      return Promise.resolve({ epoch: "e", messages });
    },
  };
  const log = new MessageLog({ messages: 0, bytes: 0 }, "e", newest);
  const topic = new TopicHistory("news", {
    options: resolveTopic({ history: options })!,
    log,
    members: () => [socket],
    store,
  });
  return { topic, log, socket, got, finds };
}

const texts = (from: number, to: number): string[] => Array.from({ length: to - from + 1 }, (_, i) => `${from + i}`);

test("a follower waits until the end of the history is known", async () => {
  const { topic, socket, got } = history(7);
  let hasBegun = false;
  const followed = topic.follow(socket, undefined).then((result) => {
    hasBegun = true;
    return result;
  });
  await nextTurn();
  expect([hasBegun, got]).toEqual([false, []]);
  topic.onReady();
  expect(await followed).toEqual({ recovered: false, id: "e.7" });
  expect(got).toEqual(["false e.7"]);
});

test("a follower that leaves while it waits is told at once, and gets nothing", async () => {
  const { topic, socket, got } = history(7);
  const followed = topic.follow(socket, "");
  topic.leave(socket);
  expect(await followed).toEqual({ recovered: false, id: "" });
  topic.onReady();
  await nextTurn();
  expect([got, topic.followers, topic.isFollowedBy(socket)]).toEqual([[], 0, false]);
});

describe("a follower begins", () => {
  test.each<[string, string, object, string, unknown[]]>([
    ["at the oldest message of the store", "", {}, "e.2", ["true e.2", ...texts(3, 7)]],
    ["behind an id that the store knows", "e.4", {}, "e.4", ["true e.4", ...texts(5, 7)]],
    ["at the end", "e.7", {}, "e.7", ["true e.7"]],
    ["anew behind what the store has lost", "e.1", {}, "e.7", ["false e.7"]],
    ["anew in another epoch", "f.4", {}, "e.7", ["false e.7"]],
    ["anew with garbage", "garbage", {}, "e.7", ["false e.7"]],
    ["anew when it lacks too many", "e.4", { maxRecover: 2 }, "e.7", ["false e.7"]],
    ["where it was when it lacks as many as may be", "e.5", { maxRecover: 2 }, "e.5", ["true e.5", "6", "7"]],
  ])("%s", async (_name, since, options, id, expected) => {
    const { topic, socket, got } = history(7, options);
    topic.onReady();
    expect(await topic.follow(socket, since)).toEqual({ recovered: expected[0] === `true ${id}`, id });
    await nextTurn();
    topic.append("8", 0);
    expect(got).toEqual([...expected, "8"]);
  });

  test("from what the process has, without a question to the store", async () => {
    const { topic, socket, got, finds } = history(7);
    topic.onReady();
    for (const text of ["8", "9"]) topic.append(text, 0);
    got.length = 0;
    await topic.follow(socket, "e.8");
    await nextTurn();
    expect([got, finds]).toEqual([["true e.8", "9"], []]);
  });
});

describe("a follower that is ahead of the process", () => {
  test("gets nothing twice, and is told of no loss", async () => {
    const { topic, log, socket, got } = history(7);
    log.reset({ epoch: "e", offset: 5 });
    topic.onReady();
    await topic.follow(socket, "e.6");
    await nextTurn();
    expect(got).toEqual(["true e.6", "7"]);
    for (const text of ["6", "7", "8"]) topic.append(text, 0);
    expect(got).toEqual(["true e.6", "7", "8"]);
  });

  test("goes on when its process has come to the same epoch", async () => {
    const { topic, log, socket, got } = history(7);
    log.reset({ epoch: "old", offset: 20 });
    topic.onReady();
    await topic.follow(socket, "e.6");
    await nextTurn();
    topic.lose({ epoch: "e", offset: 7 });
    await nextTurn();
    topic.append("8", 0);
    expect(got).toEqual(["true e.6", "7", "8"]);
  });
});

test("a follower that is overtaken while it looks for more goes on from what is kept", async () => {
  const { topic, log, socket, got } = history(7, { size: 2 });
  log.reset({ epoch: "e", offset: 5 });
  topic.onReady();
  await topic.follow(socket, "e.7");
  // The process gets more than it keeps before the store has answered that there is nothing behind 7.
  for (const text of ["6", "7", "8", "9", "10"]) topic.append(text, 0);
  await nextTurn();
  expect(got).toEqual(["true e.7", "8", "9", "10"]);
});

test("followers are told when messages are lost", async () => {
  const { topic, socket, got } = history(7);
  topic.onReady();
  await topic.follow(socket, undefined);
  topic.lose({ epoch: "f", offset: 2 });
  topic.append("3", 0);
  expect(got).toEqual(["false e.7", "false f.2", "3"]);
});
