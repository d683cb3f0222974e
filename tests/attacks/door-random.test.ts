// Thousands of clients behave at random: they find faults that the list of oddities in door.test.ts leaves out.

import { expect, test } from "vitest";
import type { Way } from "../support/door-server.ts";
import { Door, type Layer } from "../support/door.ts";
import { type Manners, randomManners } from "../support/random-visits.ts";
import { Random } from "../support/random.ts";
import { visit } from "../support/visitor.ts";

const VISITS = Number(process.env.DOOR_VISITS ?? 8_000);
const SEED = Number(process.env.DOOR_SEED ?? 6455);
const AT_ONCE = 200;
const TIMEOUT_MS = 180_000;

/**
 * A failure shows at most this many of the visits whose connection the server did not end, and this many of the latest
 * visits when the process has exited.
 */
const SHOWN = 10;

test("after 8,000 random visits by every way in, the same process serves, and nothing is left", async () => {
  // Node exits on an unhandled rejection as on an uncaught exception, and says where either was thrown.
  const door = await Door.open(TIMEOUT_MS, "--unhandled-rejections=strict --trace-uncaught");
  const random = new Random(SEED);
  const last: string[] = [];
  const stayed: string[] = [];
  let begun = 0;

  async function comeAndGo(): Promise<void> {
    while (begun < VISITS && !door.hasEnded) {
      begun++;
      const layer = layerOf(random);
      const way = ways[random.below(ways.length)];
      const manners = randomManners(random);
      last.push(show(layer, way, manners));
      if (last.length > SHOWN) last.shift();
      const { isOver } = await visit({ ...door.entrance(layer, way), ...manners });
      if (!isOver && !door.hasEnded) stayed.push(show(layer, way, manners));
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, comeAndGo));

  const complaints = stayed.slice(0, SHOWN).map((each) =>
    `the server did not end its side, ${stayed.length} times, once after: ${each}`
  );
  complaints.push(...await door.complaints());
  if (door.hasEnded) complaints.push(`after ${begun} visits; the last were`, ...last);
  expect(complaints, `DOOR_SEED=${SEED} repeats these visits`).toEqual([]);
}, TIMEOUT_MS);

const ways: readonly Way[] = ["listen", "attach", "attach beside another", "handleUpgrade", "handleUpgrade later"];

/** Chooses TLS for a tenth of the visits only: it takes much time, and little of what it covers differs from TCP. */
function layerOf(random: Random): Layer {
  const number = random.below(100);
  return number < 90 ? "tcp" : number < 98 ? "tls" : "instead of tls";
}

function show(layer: Layer, way: Way, { writes, leave, when }: Manners): string {
  const bytes = writes.map((each) => JSON.stringify(Buffer.from(each).toString("latin1").slice(0, 300)));
  return `${layer}, ${way}, ${leave} ${when}: ${bytes.join(" + ")}`;
}
