/** The topics of the bench: the load and the servers find out from numbers alone who is subscribed to what. */
import { expect, test } from "vitest";
import { plainTraffic } from "../../bench/load/traffic.ts";
import {
  nameOf,
  SOCKETS,
  SOCKETS_PER_TOPIC,
  socketsOf,
  topicOfMessage,
  TOPICS,
  topicsOf,
} from "../../bench/shared/topics.ts";

const all = Array.from({ length: TOPICS }, (_, topic) => topic);

test("a socket is subscribed to the topics whose sockets it belongs to", () => {
  const members = all.map(() => [] as number[]);
  for (let socket = 0; socket < SOCKETS; socket += 1) for (const topic of topicsOf(socket)) members[topic].push(socket);
  expect(all.map((topic) => socketsOf(topic).sort((left, right) => left - right))).toEqual(members);
  expect(members.every((sockets) => new Set(sockets).size === SOCKETS_PER_TOPIC)).toBe(true);
});

test("no two topics have the same sockets", () => {
  expect(new Set(all.map((topic) => socketsOf(topic).sort().join())).size).toBe(TOPICS);
});

test("the messages go to every topic in turn, each to another one than the message before", () => {
  const traffic = plainTraffic({ payload: "topic", payloadBytes: 32, inFlight: 1 }, false);
  const names = traffic.batches.map((batch) => {
    const key = batch.subarray(2, 6);
    return String.fromCharCode(...batch.subarray(6, 9).map((byte, index) => byte ^ key[index & 3]));
  });
  expect(names).toEqual(all.map((message) => nameOf(topicOfMessage(message))));
  expect(new Set(names).size).toBe(TOPICS);
});
