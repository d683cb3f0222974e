/**
 * The chaos: clients come and leave in every way behind roads that hold up, cut up and break their bytes, some of their
 * processes are killed or frozen, and the server closes in the middle. Both ends are compared afterwards.
 */

import { describe, expect, test } from "vitest";
import { optionsOf, type ServerRuntime } from "./options.ts";
import type { Setting } from "./plan.ts";
import { runRound } from "./round.ts";

const settings: readonly Setting[] = [
  { name: "plain" },
  { name: "TLS", isSecure: true },
  { name: "compressed", compression: "messages alone" },
  { name: "compressed with context takeover", compression: "context takeover" },
  { name: "topics", hasTopics: true },
  { name: "attached", isAttached: true },
  { name: "slow hooks", hasSlowHooks: true },
  { name: "peers that never come back", losesPeers: true },
  {
    name: "everything at once",
    isSecure: true,
    isAttached: true,
    compression: "context takeover",
    hasTopics: true,
    hasSlowHooks: true,
    losesPeers: true,
  },
];

/** A failure shows at most this many faults. */
const SHOWN = 20;

const { seed, rounds, runtimes } = optionsOf(process.env);
const cases = settings.flatMap((setting) =>
  Array.from({ length: rounds }, (_, round) => ({ setting, seed: seed + round }))
);

describe.each(runtimes)("on $id", ({ id, command }: ServerRuntime) => {
  const sum = { messages: 0, clean: 0, unclean: 0, goneAway: 0 };

  test.each(cases)("$setting.name, seed $seed", async ({ setting, seed }) => {
    const startedAt = performance.now();
    const result = await runRound(command, setting, seed);
    const { faults, connections, clean, unclean, goneAway, messages } = result;
    const [closing, exiting] = [result.closingMs, result.exitingMs].map(Math.round);
    const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
    console.log(
      `${id}, ${setting.name}, seed ${seed}: ${connections} sockets, ${messages} messages, ${clean} ends clean ` +
        `(${goneAway} by app.close) and ${unclean} not, ${seconds} s, app.close took ${closing} ms and the exit ${exiting} ms`,
    );
    sum.messages += messages;
    sum.clean += clean;
    sum.unclean += unclean;
    sum.goneAway += goneAway;
    const again = `npm run chaos -- ${id} --seed ${seed} -t "${setting.name}"`;
    expect(faults.slice(0, SHOWN), `${faults.length} faults; \`${again}\` has the same plan`).toEqual([]);
  });

  test("all of it happened: thousands of messages, and connections that ended in every way", () => {
    expect(Object.entries(sum).filter(([, count]) => count < 10)).toEqual([]);
    expect(sum.messages).toBeGreaterThan(1_000 * cases.length);
  });
});
