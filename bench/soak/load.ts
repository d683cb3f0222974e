/**
 * The load's program: keeps idle and busy connections, which come and go, and does what the runner asks on stdin, one
 * question after the other. Each answer is a line of JSON.
 */
import process from "node:process";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { Client, ENDS } from "./client.ts";
import { BURSTS, command, frameOf, pathOf, type Plan, ratesOf, type Traffic } from "./traffic.ts";

const plan = JSON.parse(process.env.SOAK_PLAN!) as Plan;
const port = Number(process.env.SOAK_PORT);

/** How many connections are opened or closed at a time, except in a storm. */
const AT_ONCE = 50;
const TICK_MS = 20;
/** After a pause of the machine, no more than the traffic of this time is made up for. */
const CATCH_UP_S = 1;
/** How often a handshake is tried, and the pause in between. */
const TRIES = 10;
const RETRY_MS = 1_000;
/** How long a slow client does not read. */
const SLOW_MS = 3_000;

const traffic: Traffic = { messages: 0, pings: 0, sent: 0, ended: 0, bursts: 0, late: 0, faults: 0, reasons: [] };

function fault(error: Error): void {
  traffic.faults += 1;
  if (traffic.reasons.length < 5) traffic.reasons.push(error.message);
}

const PLAIN = { path: "/plain", offer: undefined };
/** What every idle connection sends once, so that the broadcasts come to it. */
const JOIN_ALL = command("join all");

/** One place among the connections. When the client of a place has ended, another one takes it. */
interface Slot {
  readonly index: number;
  readonly isIdle: boolean;
  client: Client | undefined;
  turn: number;
}

const slots: Slot[] = Array.from({ length: plan.idle + plan.busy }, (_, index) => ({
  index,
  isIdle: index < plan.idle,
  client: undefined,
  turn: index,
}));
const idle = slots.filter(({ isIdle }) => isIdle);
const busy = slots.filter(({ isIdle }) => !isIdle);

/** Opens the connection of a slot. A handshake that fails is a fault, and is tried again: the load must not shrink. */
async function fill(slot: Slot): Promise<void> {
  const { path, offer } = slot.isIdle ? PLAIN : pathOf(slot.index);
  for (let tries = 0; tries < TRIES; tries += 1) {
    try {
      const client = slot.client = await Client.open(port, path, offer, traffic, fault);
      if (slot.isIdle) client.send(JOIN_ALL);
      client.closed.then(() => {
        if (slot.client === client) slot.client = undefined;
      });
      return;
    } catch (error) {
      fault(error as Error);
      await delay(RETRY_MS);
    }
  }
}

async function inGroups<T>(items: readonly T[], task: (item: T) => Promise<unknown>): Promise<void> {
  for (let first = 0; first < items.length; first += AT_ONCE) {
    await Promise.all(items.slice(first, first + AT_ONCE).map(task));
  }
}

/** Slots whose connection is about to be replaced. */
const changing = new Map<Slot, Promise<void>>();

/** Ends the connection of a slot with `end`, if there is one, and opens the next one. */
function change(slot: Slot, end: (client: Client) => Promise<void>): void {
  if (changing.has(slot)) return;
  const { client } = slot;
  slot.client = undefined;
  const changed = Promise.resolve(client && end(client)).then(() => fill(slot));
  changing.set(slot, changed.finally(() => changing.delete(slot)));
}

/** Ends the connection of a slot, each time in another way. */
function replace(slot: Slot): void {
  change(slot, (client) => client.end(ENDS[traffic.ended++ % ENDS.length]));
}

/** Goes round the slots, for ever. */
function* round(some: readonly Slot[]): Generator<Slot, never> {
  for (;;) yield* some;
}

const rates = ratesOf(plan);
const turns = round(busy);
const leavers = { busy: round(busy), idle: round(idle), slow: round(busy) };

function sendNext(slot: Slot): void {
  if (slot.client === undefined || slot.client.isAwaiting) return void (traffic.late += 1);
  slot.client.send(frameOf(slot.index, slot.turn++));
  traffic.sent += 1;
}

function readSlowly(slot: Slot): void {
  change(slot, async (client) => {
    await client.readSlowly(BURSTS[traffic.bursts++ % BURSTS.length], SLOW_MS);
    await client.end("client closes");
  });
}

/** Each kind of event, how often it is due, and what it does. */
const events: { perSecond: number; run: () => void; due: number }[] = [
  { perSecond: rates.messagesPerSecond, run: () => sendNext(turns.next().value) },
  { perSecond: rates.busyEndsPerSecond, run: () => replace(leavers.busy.next().value) },
  { perSecond: rates.idleEndsPerSecond, run: () => replace(leavers.idle.next().value) },
  { perSecond: rates.burstsPerSecond, run: () => readSlowly(leavers.slow.next().value) },
  { perSecond: rates.broadcastsPerSecond, run: () => turns.next().value.client?.send(command("say all Good morning")) },
].map((event) => ({ ...event, due: 0 }));

let ticker: ReturnType<typeof setInterval> | undefined;
let lastTickMs = 0;

function tick(): void {
  const now = performance.now();
  const seconds = Math.min((now - lastTickMs) / 1000, CATCH_UP_S);
  lastTickMs = now;
  for (const event of events) {
    for (event.due += seconds * event.perSecond; event.due >= 1; event.due -= 1) event.run();
  }
}

/** Connections of a storm, until they are cut or closed. */
const stormed: Client[] = [];

async function storm(): Promise<number> {
  const startedAt = performance.now();
  const open = (): Promise<Client> => Client.open(port, PLAIN.path, undefined, traffic, fault);
  const results = await Promise.allSettled(Array.from({ length: plan.storm }, open));
  const ms = performance.now() - startedAt;
  for (const result of results) {
    if (result.status === "rejected") fault(result.reason as Error);
    else stormed.push(result.value);
  }
  return ms;
}

const answers: Record<string, () => unknown> = {
  open: () => inGroups(slots, fill),
  start() {
    lastTickMs = performance.now();
    ticker = setInterval(tick, TICK_MS);
  },
  /** Resolves when every connection that was under way is open or closed. */
  async stop() {
    clearInterval(ticker);
    await Promise.all(changing.values());
  },
  traffic: () => traffic,
  storm,
  /** Half of the connections of the storm are cut at once. */
  cut: () => Promise.all(stormed.splice(0, stormed.length / 2).map((client) => client.end("client resets"))),
  /** The other half is closed at once. */
  calm: () => Promise.all(stormed.splice(0).map((client) => client.end("client closes"))),
  /** Only the idle connections stay. */
  quiet: () => inGroups(busy, async ({ client }) => await client?.end("client closes")),
  close: () => inGroups(slots, async ({ client }) => await client?.end("client closes")),
};

createInterface({ input: process.stdin })
  .on("line", async (question) => {
    const result = await answers[question]();
    process.stdout.write(`${JSON.stringify(result === traffic || typeof result === "number" ? result : {})}\n`);
  })
  .on("close", () => process.exit(0));
process.stdout.write("{}\n");
