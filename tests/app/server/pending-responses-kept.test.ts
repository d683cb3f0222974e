// What is kept of the requests of a connection that is gone, and of one that stays.

import { once } from "node:events";
import { Agent, createServer, request as startRequest, type ServerResponse } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { text as textOf } from "node:stream/consumers";
import { expect, onTestFinished, test } from "vitest";
import { PendingResponses } from "../../../src/app/server/pending-responses.ts";
import { until } from "../../support/app.ts";
import { Census } from "../../support/memory.ts";

const COUNT = 30;

test.each<[string, (responses: ServerResponse[]) => void]>([
  ["are never sent", () => {}],
  ["come too late", (responses) => {
    for (const response of responses) response.end("too late");
  }],
])("responses of a client that has left are garbage-collected when they %s", async (_name, respond) => {
  const pendingResponses = new PendingResponses();
  const census = new Census();
  let responses: ServerResponse[] = [];
  const server = createServer((_request, response) => {
    response.on("error", () => {});
    pendingResponses.bound(response, () => {});
    responses.push(response);
    census.track(response);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  for (let client = 0; client < 10; client++) {
    const raw = connect((server.address() as AddressInfo).port, "127.0.0.1");
    raw.on("error", () => {});
    raw.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(COUNT));
    await until(() => responses.length === COUNT);
    const { socket } = responses[0].req;
    socket.on("error", () => {});
    const closed = new Promise((resolve) => socket.once("close", resolve));
    raw.resetAndDestroy();
    await closed;
    respond(responses);
    responses = [];
  }
  expect(pendingResponses.terminateBegun()).toBe(true);
  expect(await census.countBelow(COUNT * 2), `of ${10 * COUNT} responses`).toBeLessThan(COUNT * 2);
});

test("responses of a client that keeps its connection are garbage-collected when they are complete", async () => {
  const pendingResponses = new PendingResponses();
  const census = new Census();
  const server = createServer((_request, response) => {
    pendingResponses.bound(response, () => {});
    census.track(response);
    response.end("hello");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  onTestFinished(() => {
    agent.destroy();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const connections = new Set<unknown>();
  server.on("connection", (raw) => connections.add(raw));
  for (let request = 0; request < 10 * COUNT; request++) {
    const [response] = await once(startRequest({ host: "127.0.0.1", port, agent }).end(), "response");
    await textOf(response);
  }
  expect(connections.size).toBe(1);
  expect(await census.countBelow(COUNT), `of ${10 * COUNT} responses`).toBeLessThan(COUNT);
});
