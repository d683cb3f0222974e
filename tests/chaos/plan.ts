/** The plans of the chaos: a seed decides what every connection, every road and every process of a round will do. */

import { Random } from "../support/random.ts";
import { seedOf } from "./messages.ts";

/** What is special about the server of a round. */
export interface Setting {
  readonly name: string;
  /** The server is one of somebody else, to which the app is attached. */
  readonly isAttached?: boolean;
  readonly isSecure?: boolean;
  readonly compression?: "messages alone" | "context takeover";
  readonly hasTopics?: boolean;
  /** Clients wait for an `upgrade` hook, and many leave meanwhile. */
  readonly hasSlowHooks?: boolean;
  /** Some peers never come back: the app has to cut them when it closes. */
  readonly losesPeers?: boolean;
}

/** What a client and the server's handler do on one connection. */
export interface ConnectionPlan {
  readonly id: number;
  /** True when the client will certainly send all its messages: those decide when the app closes. */
  readonly isCounted: boolean;
  /** The number of messages that the client sends, in bursts. */
  readonly count: number;
  readonly burst: number;
  readonly gapMs: number;
  /** What the client does once it has sent its messages. One that stays leaves that to the server. */
  readonly end: "close" | "terminate" | "stay";
  /** The code with which the client closes. */
  readonly code: number;
  /** How the handler reads. */
  readonly reading: "listener" | "late listener" | "loop";
  /** How many messages the handler sends for each message that it gets. */
  readonly replies: number;
  /** After this many messages, the handler sends more at once than the operating system takes. */
  readonly floodsAfter: number;
  /** After this many messages, the handler closes the socket with `serverCode`. */
  readonly closesAfter: number;
  readonly serverCode: number;
  /** After each so many messages, the handler stops reading for a moment. */
  readonly pausesAfter: number;
  /** After each so many messages, the socket joins or leaves a topic. */
  readonly togglesAfter: number;
  readonly hookMs: number;
}

/** The directions of a road: to the server, and to the client. */
export type Direction = "up" | "down";

/** A place of a road where bytes are held up, counted in bytes of its direction. */
export type Spot =
  | { readonly at: number; readonly kind: "wait"; readonly ms: number }
  | { readonly at: number; readonly kind: "crumble"; readonly bytes: number }
  | { readonly at: number; readonly kind: "gather"; readonly bytes: number; readonly ms: number };

/** How a road breaks. */
export type Break = typeof breaks[number] | "vanish";
const breaks = ["reset", "reset the server", "reset the client", "end to the server", "end to the client"] as const;

/** The road between one client and the server. */
export interface RoadPlan {
  readonly spots: Readonly<Record<Direction, readonly Spot[]>>;
  /** Undefined for a road that holds. */
  readonly end?: RoadEnd;
}

/** When and how a road breaks: a while behind a byte of one direction, or so many milliseconds after it was built. */
export interface RoadEnd {
  readonly direction: Direction | "clock";
  readonly at: number;
  readonly delayMs: number;
  readonly how: Break;
}

/** One process of clients, and what becomes of it. */
export interface ProcessPlan {
  readonly connections: readonly { readonly plan: ConnectionPlan; readonly road: RoadPlan }[];
  /** Killed with SIGKILL so many milliseconds after its connections have begun. */
  readonly killedAfterMs?: number;
  /** Frozen with SIGSTOP, and thawed with SIGCONT unless it is left frozen for good. */
  readonly frozen?: { readonly afterMs: number; readonly forMs: number };
}

/** The clients of a part of a round. */
export interface Wave {
  readonly processes: readonly ProcessPlan[];
  /** The number of counted messages with which the app closes. Infinity when all clients leave before. */
  readonly closesAt: number;
}

const CONNECTIONS = 24;

/**
 * Makes the waves of a round. The clients of the first one come and leave by themselves. The server closes in the
 * middle of the second one.
 */
export function planRound(setting: Setting, seed: number): readonly [Wave, Wave] {
  return [planWave(setting, seed, false), planWave(setting, seed, true)];
}

function planWave(setting: Setting, seed: number, isLast: boolean): Wave {
  const random = new Random(seedOf(seed, setting.name, String(isLast)));
  let nextId = isLast ? 1_000 : 0;
  const losesPeers = isLast && setting.losesPeers === true;
  const connect = (isKilled: boolean): ProcessPlan["connections"] =>
    Array.from({ length: CONNECTIONS }, () => {
      const road = planRoad(setting, random, losesPeers);
      return { road, plan: planConnection(setting, random, nextId++, isLast, !isKilled && road.end === undefined) };
    });
  const afterMs = random.below(400);
  const forMs = losesPeers ? Infinity : 100 + random.below(500);
  // One process ends as its clients want, and the other one does not.
  const processes: ProcessPlan[] = [
    { connections: connect(false), ...(!losesPeers && { frozen: { afterMs, forMs } }) },
    {
      connections: connect(true),
      ...(losesPeers ? { frozen: { afterMs, forMs } } : { killedAfterMs: random.below(400) }),
    },
  ];
  const messages = processes[0]!.connections.filter(({ plan }) => plan.isCounted)
    .reduce((sum, { plan }) => sum + Math.min(plan.count, plan.closesAfter), 0);
  // Clients send more than these, so the number is certainly reached, and is reached while they are still at it.
  const closesAt = isLast ? Math.floor(messages * (20 + random.below(70)) / 100) : Infinity;
  return { processes, closesAt };
}

function planConnection(
  setting: Setting,
  random: Random,
  id: number,
  mayStay: boolean,
  isCertain: boolean,
): ConnectionPlan {
  const count = 20 + random.below(230);
  const end = pick(random, mayStay ? ["stay", "stay", "close", "terminate"] : ["close", "close", "close", "terminate"]);
  return {
    id,
    isCounted: isCertain && end !== "terminate",
    count,
    burst: 1 + random.below(20),
    gapMs: random.below(12),
    end: end as ConnectionPlan["end"],
    code: 3_000 + random.below(500),
    reading: pick(random, ["listener", "listener", "late listener", "loop"]),
    replies: random.below(3),
    floodsAfter: random.below(100) < 12 ? 1 + random.below(40) : Infinity,
    closesAfter: random.below(100) < 20 ? 1 + random.below(count) : Infinity,
    serverCode: 4_000 + random.below(500),
    pausesAfter: random.below(100) < 25 ? 5 + random.below(50) : Infinity,
    togglesAfter: setting.hasTopics ? 1 + random.below(20) : Infinity,
    hookMs: setting.hasSlowHooks ? random.below(150) : 0,
  };
}

function planRoad(setting: Setting, random: Random, losesPeers: boolean): RoadPlan {
  // Only a flood comes as far as these.
  const jams = Array.from(
    { length: 4 },
    (_, n): Spot => ({ at: (n + 1) * 600_000, kind: "wait", ms: random.below(400) }),
  );
  const spots = { up: planSpots(random), down: [...planSpots(random), ...jams] };
  if (random.below(100) >= 35) return { spots };
  const how = pick<Break>(random, losesPeers ? [...breaks, "vanish"] : breaks);
  const direction = pick<RoadEnd["direction"]>(random, ["up", "down", "clock", setting.hasSlowHooks ? "clock" : "up"]);
  // While a hook is at work no byte passes, so only the clock breaks a road then.
  const at = direction === "clock" ? random.below(setting.hasSlowHooks ? 150 : 1_000) : randomPlace(random);
  return { spots, end: { direction, at, delayMs: random.below(60), how } };
}

function planSpots(random: Random): readonly Spot[] {
  const spots = Array.from({ length: random.below(8) }, (): Spot => {
    const at = randomPlace(random);
    const kind = random.below(4);
    if (kind === 0) return { at, kind: "crumble", bytes: 1 + random.below(64) };
    if (kind === 1) return { at, kind: "gather", bytes: 1 + random.below(60_000), ms: random.below(40) };
    return { at, kind: "wait", ms: random.below(10) === 0 ? 100 + random.below(500) : random.below(30) };
  });
  return spots.sort((a, b) => a.at - b.at);
}

/** A third of the places lie in the handshake, or shortly behind it. */
function randomPlace(random: Random): number {
  return random.below(3) === 0 ? random.below(600) : random.below(200_000);
}

function pick<Item>(random: Random, items: readonly Item[]): Item {
  return items[random.below(items.length)]!;
}
