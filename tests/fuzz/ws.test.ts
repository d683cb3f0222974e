// The frame engine beside ws: both make the same of any bytes, except for differences that are named here.

import fc from "fast-check";
import { expect, test } from "vitest";
import { conversations, damaged } from "./conversations.ts";
import { readWithEngine, whole } from "./engine.ts";
import { judge, type Reason, type Settings } from "./frame-oracle.ts";
import { countInputs, fuzz } from "./runs.ts";
import { readWithWs } from "./ws-receiver.ts";

/** What the two have made of the same bytes. */
interface Opinions {
  /** The lines of the engine, without its Close for a fault of the client. */
  readonly ours: readonly string[];
  readonly ourCode: number | undefined;
  readonly theirs: readonly string[];
  readonly theirCode: number | undefined;
  /** What the oracle says about the bytes. */
  readonly reason: Reason;
  readonly isDeflate: boolean;
  readonly hasHollow: boolean;
  readonly hasFinalBlock: boolean;
}

/** Each difference that may be, with the rule of the RFC that leaves it open or that ws does not keep. */
const differences: Readonly<Record<string, (opinions: Opinions) => boolean>> = {
  "RFC 6455 §5.2: a length must use the fewest bytes; ws takes any": ({ reason }) =>
    reason === "§5.2 length not minimal",
  "RFC 6455 §5.2: a length with the top bit breaks the protocol (1002); ws says that it is too big (1009)": (
    { reason, theirCode },
  ) => reason === "§5.2 top bit of a length" && theirCode === 1009,
  "RFC 6455 §8.1: bad UTF-8 may be refused at its first byte; ws waits for the end of the message": (
    { reason, ours, theirs },
  ) => reason === "§8.1 UTF-8" && onlyControlFramesBehind(ours, theirs),
  "RFC 6455 §7.1.7: a fault may be refused when it is known; ws looks at two bytes of a header, the engine at all": (
    { reason, ourCode, ours, theirs, theirCode },
  ) => reason === "ends in a header" && ourCode === undefined && theirCode !== undefined && isSame(ours, theirs),
  "RFC 6455 §5.5.1: ws refuses a Close of one byte by its header, the engine when the byte is there": (
    { reason, ourCode, theirCode, ours, theirs },
  ) => reason === "ends in a payload" && ourCode === undefined && theirCode === 1002 && isSame(ours, theirs),
  "RFC 6455 §7.1.7: a frame too many is refused by its header; ws waits for its payload": (
    { reason, ourCode, theirCode, ours, theirs },
  ) => reason === "§10.4 many fragments" && ourCode === 1008 && theirCode === undefined && isSame(ours, theirs),
  "RFC 6455 §7.1.7: of two faults in one header, each names another": ({ reason, theirCode, ours, theirs }) =>
    (reason === "§5.2 length of 2^53" || reason === "§10.4 many fragments" || reason === "§10.4 long message") &&
    theirCode !== undefined && isSame(ours, theirs),
  "RFC 6455 §10.4: a compressed payload may be a little longer than the limit of a message; not so with ws": (
    { isDeflate, ourCode, ours, theirs, theirCode },
  ) => isDeflate && theirCode === 1009 && ourCode !== 1009 && startsWith(ours, theirs),
  "RFC 7692 §7.2.2: ws decompresses each fragment, and finds a fault before the message ends": (
    { isDeflate, ourCode, ours, theirs, theirCode },
  ) =>
    isDeflate && theirCode !== undefined && startsWith(ours, theirs) &&
    (theirCode !== ourCode || !isSame(ours, theirs)),
  "RFC 7692 §7.2.1: DEFLATE that ends inside a block is no message; ws hands out what came, on Deno of any fault": (
    { reason, ourCode, ours, theirs },
  ) => reason === "RFC 7692 §7.2.2 DEFLATE" && (ourCode === 1007 || ourCode === 1009) && startsWith(theirs, ours),
  "RFC 7692 §7.2.3.6: an empty message has one byte; the engine takes none for it, and ws is inside a block then": (
    { hasHollow },
  ) => hasHollow,
  "RFC 7692 §7.2.3.4: a final block ends neither the message nor the stream; ws drops what follows": (
    { hasFinalBlock },
  ) => hasFinalBlock,
};

function isSame(ours: readonly string[], theirs: readonly string[]): boolean {
  return ours.length === theirs.length && startsWith(ours, theirs);
}

function startsWith(lines: readonly string[], start: readonly string[]): boolean {
  return start.every((line, index) => lines[index] === line);
}

function onlyControlFramesBehind(ours: readonly string[], theirs: readonly string[]): boolean {
  return startsWith(theirs, ours) &&
    theirs.slice(ours.length).every((line) => /^(> )?(ping|pong|close)|^finished$/.test(line));
}

const found = new Map<string, number>();

async function compare(bytes: Buffer, settings: Settings): Promise<void> {
  const ourLines = await readWithEngine(bytes, settings, whole);
  const { lines: theirs, code: theirCode } = await readWithWs(bytes, settings);
  const theirLines = theirCode === undefined ? theirs : [...theirs, `> close ${theirCode}`, "finished"];
  if (ourLines.join("\n") === theirLines.join("\n")) return;
  const { reason, closeCodes, hasHollow, hasFinalBlock } = judge(bytes, settings);
  const ours = closeCodes.length === 0 ? ourLines : ourLines.slice(0, -2);
  const ourCode = closeCodes.length === 0 ? undefined : Number(ourLines.at(-2)!.slice("> close ".length));
  const isDeflate = settings.deflate !== undefined;
  const opinions = { ours, ourCode, theirs, theirCode, reason, hasHollow, hasFinalBlock, isDeflate };
  const name = Object.keys(differences).find((each) => differences[each](opinions));
  if (name === undefined) {
    expect(ourLines, `${bytes.toString("hex")} ${reason} ${JSON.stringify(settings)}`).toEqual(theirLines);
  }
  found.set(name!, (found.get(name!) ?? 0) + 1);
}

test.each<[name: string, runs: number, deflate: Settings["deflate"]]>([
  ["without compression", 1_500, undefined],
  ["with compression", 400, "no takeover"],
  ["with compression and context takeover", 400, "takeover"],
])("the engine and ws agree on any bytes, %s", async (_name, runs, deflate) => {
  found.clear();
  await fuzz(
    runs,
    fc.asyncProperty(conversations([deflate], 12), async ({ settings, frames, damages }) => {
      countInputs(damages.length);
      await compare(Buffer.concat(frames), settings);
      for (const damage of damages) await compare(damaged(frames, damage), settings);
    }),
  );
  console.log([...found].map(([name, count]) => `${count} × ${name}`).join("\n"));
});
