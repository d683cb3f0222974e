// What everybody else experiences while a stranger attacks a server with default options: how much memory the attack
// takes, how long the echoes of another client take, that new clients get in, and that the server is as before when the
// stranger has gone.

import process from "node:process";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { close, text } from "../support/frames.ts";
import { Program } from "../support/program.ts";
import { RawClient } from "../support/raw-client.ts";
import type { StrangerReport } from "../support/stranger-server.ts";
import { attacks } from "../support/strangers.ts";

const MiB = 1024 * 1024;
const ECHOES = 100;
/** The other client's echoes take a millisecond where nobody attacks. A machine may be slow, and have other work. */
const MAX_ECHO_MS = 2_000;
/** The memory that an attack takes beside what it lets the server keep: buffers of sockets, garbage, compiled code. */
const MAX_PEAK_BYTES = 160 * MiB;
const MAX_USED_BYTES = 16 * MiB;
/** A conservative collector, such as Bun's, keeps some garbage. */
const MAX_LEFT_BYTES = 8 * MiB;
/** The longest of the time-outs that an attack waits for is ten seconds. */
const PATIENCE_MS = 45_000;
/** How long the memory may take to fall while the stranger stays: shorter than any time-out that would close it. */
const SETTLING_MS = 5_000;
const PAUSE_MS = 200;
const TIMEOUT_MS = 120_000;

/** What the default options let an attack keep in the memory of the server, in bytes. Most attacks get nothing. */
const allowances: Readonly<Record<string, number>> = {
  // maxBufferedBytes, 16 MiB, for each peer that does not read.
  "messages, with echoes that are never read": 40 * MiB,
  "messages, with publications that are never read": 40 * MiB,
  // maxMessageBytes, 1 MiB, for each of 64 connections. The memory of a message may have twice its length.
  "messages of the largest size that never end": 160 * MiB,
  // 4,096 requests for each of four connections, with responses of 10 kB.
  "requests whose responses never come": 160 * MiB,
  "requests whose responses are not read": 400 * MiB,
  // The replies to ten clients, 10 MiB each.
  "half-closes with replies that are never read": 120 * MiB,
};

/** What may be left beyond that. Bun keeps up to 11 MiB after these floods, and no more however often they come. */
const leftovers: Readonly<Record<string, number>> = {
  "requests whose responses never come": 8 * MiB,
  "requests whose responses are not read": 8 * MiB,
};

/**
 * Some thousand requests come in one chunk, and no runtime lets others have their turn in the middle of it. On Deno,
 * four such chunks took five seconds on a machine with fifteen times the load that it has cores for.
 */
const slowest: Readonly<Record<string, number>> = {
  "requests whose responses never come": 20_000,
  "requests whose responses are not read": 20_000,
};

let program: Program;
let url: string;

beforeAll(async () => {
  program = Program.shared("tests/support/stranger-server.ts", 10 * TIMEOUT_MS);
  [url] = await program.line(/^http:.*$/);
});

afterAll(() => program.dispose());

async function report(): Promise<StrangerReport> {
  const response = await fetch(`${url}/report`, { headers: { Connection: "close" } });
  return await response.json() as StrangerReport;
}

async function connect(): Promise<RawClient> {
  const client = await RawClient.connect(Number(new URL(url).port), { timeoutMs: PATIENCE_MS });
  onTestFinished(() => client.terminate());
  return client;
}

/** Sends a message, and waits for its echo. Returns how long that took. */
async function echoMs(client: RawClient): Promise<number> {
  const startMs = performance.now();
  client.send(text("and me"));
  expect(await client.nextMessage()).toBe("and me");
  return performance.now() - startMs;
}

/** Takes at least `ECHOES` echoes, until `isOver`. Returns the time that 99 of 100 of them did not exceed. */
async function percentile99(client: RawClient, isOver: Promise<unknown>): Promise<number> {
  const times: number[] = [];
  let goesOn = true;
  const end = (): void => void (goesOn = false);
  isOver.then(end, end);
  while (goesOn || times.length < ECHOES) times.push(await echoMs(client));
  await isOver;
  times.sort((a, b) => a - b);
  return times[Math.ceil(times.length * 0.99) - 1];
}

/**
 * Waits until a report is as it should be, and returns the last one. Each report collects garbage, and between them the
 * server reads what the stranger has sent. A single report would not do: on a busy machine, Bun has kept 41 MiB of
 * chunks that it had read, and sockets that were being closed still had their topics.
 */
async function reportOnce(
  isWithin: (report: StrangerReport) => boolean,
  patienceMs: number,
): Promise<StrangerReport> {
  const endMs = performance.now() + patienceMs;
  let peakBytes = 0;
  for (;;) {
    const last = await report();
    peakBytes = Math.max(peakBytes, last.peakBytes);
    if (isWithin(last) || performance.now() > endMs) return { ...last, peakBytes };
    await delay(PAUSE_MS);
  }
}

/** A figure in the message of a failure, and in the output when FIGURES is set. */
function tell(name: string, figures: Readonly<Record<string, number>>): string {
  const line = `${name}: ${Object.entries(figures).map(([of, figure]) => `${of} ${figure.toFixed(1)}`).join(", ")}`;
  if (process.env.FIGURES !== undefined) process.stderr.write(`FIGURES ${line}\n`);
  return line;
}

test.each(Object.keys(attacks))("%s: little memory, the others are served, and nothing is left", async (name) => {
  const other = await connect();
  for (let i = 0; i < ECHOES; i++) await echoMs(other);
  await report();
  const before = await report();

  const stranger = Program.file("tests/support/stranger.ts", {}, [name, new URL(url).port], TIMEOUT_MS);
  await stranger.line(/^begun$/);
  const p99 = await percentile99(other, stranger.line(/^all$/, PATIENCE_MS));
  const late = await connect();
  late.send(text("let me in"), close(1000));
  expect(await late.nextMessage()).toBe("let me in");
  await late.closed();
  const allowance = allowances[name] ?? 0;
  const maxUsedBytes = MAX_USED_BYTES + allowance;
  const during = await reportOnce(({ usedBytes }) => usedBytes - before.usedBytes < maxUsedBytes, SETTLING_MS);
  await stranger.end();
  // What a handler or a controller works at, it keeps until it is done.
  await fetch(`${url}/release`, { headers: { Connection: "close" } });
  const maxLeftBytes = MAX_LEFT_BYTES + (leftovers[name] ?? 0);
  const isAsBefore = ({ usedBytes, sockets, topics }: StrangerReport): boolean =>
    usedBytes <= before.usedBytes + maxLeftBytes && sockets === before.sockets && topics === 0;
  const after = await reportOnce(isAsBefore, PATIENCE_MS);
  await echoMs(other);

  const peakBytes = during.peakBytes - before.rssBytes;
  const usedBytes = during.usedBytes - before.usedBytes;
  const leftBytes = after.usedBytes - before.usedBytes;
  const figures = tell(name, { p99, peak: peakBytes / MiB, used: usedBytes / MiB, left: leftBytes / MiB });
  expect(p99, figures).toBeLessThan(slowest[name] ?? MAX_ECHO_MS);
  expect(peakBytes, figures).toBeLessThan(MAX_PEAK_BYTES + 2 * allowance);
  expect(usedBytes, figures).toBeLessThan(maxUsedBytes);
  expect(leftBytes, figures).toBeLessThanOrEqual(maxLeftBytes);
  expect([after.sockets, after.topics]).toEqual([before.sockets, 0]);
  expect(program.errors).toBe("");
}, TIMEOUT_MS);
