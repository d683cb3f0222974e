/** The broker in memory, which tests of apps use in place of a real one, keeps the contract of histories. */

import { expect, test } from "vitest";
import { HISTORY_PREFIX } from "../../src/app/pubsub/broker.ts";
import { AMPLE, HistoryMember, testHistories, textsOf } from "../support/history-contract.ts";
import { Hub } from "../support/memory-broker.ts";

testHistories({
  name: "in memory",
  isInstalled: true,
  createStore() {
    const hub = new Hub();
    return Promise.resolve({ open: () => ({ broker: hub.link() }), dispose() {} });
  },
});

const NEWS = `${HISTORY_PREFIX}news`;

test("a hub that loses a history begins another epoch, and knows no position of the old one", async () => {
  const hub = new Hub();
  const ada = new HistoryMember(hub.link());
  const before = await ada.read(NEWS);
  const old = await ada.append(NEWS, ["a"]);
  hub.histories.lose();
  expect(await ada.read(NEWS, { after: old })).toMatchObject({ isComplete: false, newest: 0 });
  expect(await ada.read(NEWS, { after: { epoch: before.epoch, offset: 0 } })).toMatchObject({ isComplete: false });
  const next = await ada.append(NEWS, ["b"]);
  expect(next.offset).toBe(1);
  expect(new Set([before.epoch, old.epoch, next.epoch]).size).toBe(3);
  expect(await ada.read(NEWS, { after: old })).toMatchObject({ isComplete: false, newest: 1 });
});

test("a link that is cut before the answers leaves its messages in the history", async () => {
  const hub = new Hub();
  const [link, ada] = [hub.link(), new HistoryMember(hub.link())];
  const appended = link.append(NEWS, [Buffer.from("a")], AMPLE);
  const refused = expect(appended).rejects.toThrow("The link was cut");
  link.disconnectBeforeAnswers();
  await refused;
  expect(textsOf((await ada.read(NEWS)).messages)).toEqual([[1, "a"]]);
  expect(link.calls).toEqual(["append history:news"]);
});
