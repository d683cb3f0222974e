// A server process without a handler of uncaught exceptions: whatever comes over TCP, the process lives, every
// connection ends, and a client that keeps to the rules is served after each batch.

import fc from "fast-check";
import { afterEach, test } from "vitest";
import type { Way } from "../support/door-server.ts";
import { Door } from "../support/door.ts";
import { upgradeRequest } from "../support/raw-client.ts";
import { type Visit, visit } from "../support/visitor.ts";
import { type Conversation, conversations, damaged } from "./conversations.ts";
import { cutAt } from "./cuts.ts";
import { countInputs, fuzz } from "./runs.ts";
import { expectSame } from "./same.ts";
import { anyText, piecesOf } from "./texts.ts";

const LIFETIME_MS = 3_600_000;
const ways: readonly Way[] = ["listen", "attach", "attach beside another", "handleUpgrade", "handleUpgrade later"];
/**
 * What the app cannot respond to with a 101 is left to the other listener, which takes none of the app's paths, and it
 * stays until a timeout that is long in this server. So nothing but right handshakes come in beside the other one.
 */
const waysAlone = ways.map((way) => way === "attach beside another" ? "attach" : way);
const paths = ["/", "/topic", "/iterated", "/late-handler", "/hook", "/late-hook", "/bye"];

const headerName = piecesOf([
  "Sec-WebSocket-Extensions",
  "Sec-WebSocket-Protocol",
  "Origin",
  "Host",
  "X",
  "-",
  "Cookie",
], 2);
const headerText = fc.oneof(
  anyText,
  piecesOf(["permessage-deflate", "; ", "client_max_window_bits", "=", "9", '"', ", "], 8),
);

/** The bytes of a client. The head is right when the app responds to it with a 101 in any case. */
interface Sent {
  readonly bytes: Buffer;
  readonly isRight: boolean;
}

/** A request head, right or damaged, and the conversation behind it. */
const sent = fc.record({
  path: fc.oneof({ weight: 3, arbitrary: fc.constantFrom(...paths) }, anyText.map((text) => `/${text}`)),
  isDeflate: fc.boolean(),
  headers: fc.oneof(
    { weight: 3, arbitrary: fc.constant({}) },
    fc.dictionary(headerName.filter((name) => name !== ""), headerText, { maxKeys: 3 }),
  ),
  headDamage: fc.oneof(
    { weight: 3, arbitrary: fc.constant([]) },
    fc.array(fc.tuple(fc.nat(5), fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 3 }),
  ),
  conversation: conversations([undefined, "no takeover"], 1),
}).map(({ path, isDeflate, headers, headDamage, conversation }): Sent => {
  const offer = isDeflate ? { "Sec-WebSocket-Extensions": "permessage-deflate" } : {};
  const head = Buffer.from(upgradeRequest(path, { ...offer, ...headers }), "latin1");
  return {
    bytes: Buffer.concat([damaged([head], headDamage), bytesOf(conversation)]),
    isRight: headDamage.length === 0 && paths.includes(path) && Object.keys(headers).length === 0,
  };
});

const garbage = fc.uint8Array({ maxLength: 200 }).map((octets): Sent => ({
  bytes: Buffer.from(octets),
  isRight: false,
}));

const visits = fc.array(
  fc.record({
    way: fc.constantFrom(...ways),
    sent: fc.oneof({ weight: 9, arbitrary: sent }, garbage),
    cuts: fc.array(fc.nat(), { maxLength: 3 }),
    leave: fc.constantFrom<Visit["leave"]>("reset", "end", "destroy"),
    when: fc.constantFrom<Visit["when"]>("at once", "response", 5),
  }),
  { minLength: 1, maxLength: 300, size: "max" },
);

function bytesOf({ frames, damages }: Conversation): Buffer {
  return damages.length === 0 ? Buffer.concat(frames) : damaged(frames, damages[0]);
}

let door: Door | undefined;
afterEach(() => door?.close());

test("a server process serves after any batch of damaged handshakes and conversations, and keeps nothing", async () => {
  await fuzz(
    8,
    fc.asyncProperty(visits, async (visits) => {
      // Node exits on an unhandled rejection as on an uncaught exception, and says where either was thrown.
      if (door === undefined || door.hasEnded) {
        door = await Door.open(LIFETIME_MS, "--unhandled-rejections=strict --trace-uncaught");
      }
      const open = door;
      countInputs(visits.length - 1);
      const stayed: string[] = [];
      await Promise.all(visits.map(async ({ way: anyWay, sent: { bytes, isRight }, cuts, leave, when }) => {
        const way = isRight ? anyWay : waysAlone[ways.indexOf(anyWay)];
        const { isOver } = await visit({ ...open.entrance("tcp", way), writes: cutAt(bytes, cuts), leave, when });
        if (!isOver && !open.hasEnded) stayed.push(`${way}, ${leave} ${when}: ${bytes.toString("hex")}`);
      }));
      const complaints = stayed.map((each) => `the server did not end its side after ${each}`);
      complaints.push(...await open.complaints());
      if (complaints.length > 0) {
        open.close();
        door = undefined;
      }
      expectSame(String(complaints.length), "0", () => `After ${visits.length} visits: ${complaints.join("\n")}`);
    }),
    true,
  );
});
