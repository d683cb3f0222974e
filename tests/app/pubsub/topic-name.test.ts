import { describe, expect, test } from "vitest";
import { HttpError, isTopic } from "../../../mod.ts";
import { checkTopic } from "../../../src/app/pubsub/topic-name.ts";
import { ask, listeningApp, portOf, recordingLogger } from "../../support/app.ts";
import { rawRequest, statusOf, upgradeRequest } from "../../support/raw-client.ts";
import { ODD_TOPICS, WRONG_TOPICS } from "../../support/topic-names.ts";

describe("isTopic", () => {
  test("returns false exactly for the names for which subscribe and publish throw", () => {
    for (const topic of ODD_TOPICS) expect(isTopic(topic), topic).toBe(true);
    for (const [topic] of WRONG_TOPICS) expect(isTopic(topic), String(topic)).toBe(false);
  });

  test("lets a handler refuse a topic of its client without an exception and a log line", async () => {
    const { logger, entries } = recordingLogger();
    const roomOf = ({ params: { room } }: { params: { room: string } }): string => {
      if (!isTopic(room)) throw new HttpError(404, "There is no such room");
      return room;
    };
    const app = await listeningApp({ logger }, (app) =>
      app
        .ws("/rooms/:room", { upgrade: roomOf }, (socket) => void socket.subscribe(socket.data))
        .post("/rooms/:room", async (req) => app.publish(roomOf(req), await req.text()))
        .get("/rooms/:room/people", (req) => app.presence(roomOf(req))));
    for (const room of ["x".repeat(513), "%00presence", "%00", `${"%C3%BC".repeat(513)}`]) {
      expect(statusOf(await rawRequest(portOf(app), upgradeRequest(`/rooms/${room}`)))).toBe(404);
      expect((await ask(app, `/rooms/${room}`, "POST", "hello")).status).toBe(404);
      expect((await ask(app, `/rooms/${room}/people`)).status).toBe(404);
    }
    const client = await app.inject(`/rooms/${"%C3%BC".repeat(512)}`);
    expect(app.stats().topics).toBe(1);
    client.terminate();
    expect(entries).toEqual([]);
  });
});

test.each(WRONG_TOPICS)("checkTopic says what is wrong with %j", (topic, kind, message) => {
  expect(() => checkTopic(topic)).toThrow(kind);
  expect(() => checkTopic(topic)).toThrow(message);
});
