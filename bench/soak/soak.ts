/** One soak of one server: its phases one after the other, and what was seen in each. */
import { setTimeout as delay } from "node:timers/promises";
import { findRuntime, pinned, type Runtime } from "../shared/machine.ts";
import { ReportingProcess } from "../shared/processes.ts";
import type { Soak, Storm, Subject, TimedSample } from "./result.ts";
import type { Question, Sample } from "./sample.ts";
import type { Leak, Plan, Traffic } from "./traffic.ts";

/** Samples in the whole of the traffic, unless there would be more than four in a second. */
const SAMPLES = 120;
const SAMPLES_PER_MINUTE = 240;
/** On a machine that is too busy for so many, the traffic goes on until there are enough for a regression. */
const LEAST_SAMPLES = 12;
const STORMS = 3;
/** The heartbeat's CPU time is measured in this many of its intervals. */
const HEARTBEATS = 2;
/** How long a process may take over one answer: a machine that does much else lets a soak wait for minutes. */
const PATIENCE_MS = 300_000;
/** How long the server may take to notice that its connections are gone, and to end. */
const GONE_MS = 15_000;
/** How long the collector may take over the sockets of closed connections. */
const COLLECTED_MS = 8_000;

/** The two processes of a soak. */
class Stage {
  readonly server: ReportingProcess;
  readonly port: number;
  #load: ReportingProcess | undefined;

  static async open(runtime: Runtime, subject: Subject, plan: Plan, leak: Leak | undefined): Promise<Stage> {
    const file = new URL(`${subject}-server.ts`, import.meta.url).pathname;
    const server = new ReportingProcess(pinned([...runtime.command, file], undefined), {
      SOAK_HEARTBEAT_MS: `${plan.heartbeatMs}`,
      SOAK_LEAK: leak ?? "",
    });
    try {
      const stage = new Stage(server, await server.report("starting"));
      await stage.#startLoad(plan);
      return stage;
    } catch (error) {
      await server.stop();
      throw error;
    }
  }

  private constructor(server: ReportingProcess, port: number) {
    this.server = server;
    this.port = port;
  }

  async #startLoad(plan: Plan): Promise<void> {
    const command = [...findRuntime("node")!.command, new URL("load.ts", import.meta.url).pathname];
    this.#load = new ReportingProcess(pinned(command, undefined), {
      SOAK_PORT: `${this.port}`,
      SOAK_PLAN: JSON.stringify(plan),
    });
    await this.#load.report("starting the load");
  }

  ask<T>(question: Question): Promise<T> {
    return this.server.ask(question, PATIENCE_MS);
  }

  load<T>(question: string): Promise<T> {
    return this.#load!.ask(question, PATIENCE_MS);
  }

  /** Samples until the server has at most so many connections, or the patience is over. */
  async until(connections: number): Promise<{ sample: Sample; ms: number }> {
    const startedAt = performance.now();
    for (;;) {
      const sample = await this.ask<Sample>("sample");
      const ms = performance.now() - startedAt;
      if (sample.connections <= connections) return { sample, ms };
      if (ms > GONE_MS) return { sample, ms: Infinity };
      await delay(50);
    }
  }

  /**
   * Samples until all connections are gone and the collector has taken their sockets back, or the patience is over.
   * Under Bun a busy machine lets go of some closed sockets seconds later.
   */
  async untilEmpty(): Promise<Sample> {
    const startedAt = performance.now();
    for (;;) {
      const { ms } = await this.until(0);
      const sample = await this.ask<Sample>("census");
      if (ms === Infinity || sample.aliveSockets === 0 || performance.now() - startedAt > COLLECTED_MS) return sample;
      await delay(500);
    }
  }

  async stop(): Promise<void> {
    await this.#load?.stop();
    await this.server.stop();
  }
}

/** Sends the traffic, and samples meanwhile; gives the server's share of a core. */
async function drive(stage: Stage, { minutes }: Plan, onSample: (sample: TimedSample) => void): Promise<number> {
  const count = Math.min(SAMPLES, Math.ceil(SAMPLES_PER_MINUTE * minutes));
  const intervalMs = (minutes * 60_000) / count;
  const startedAt = performance.now();
  const elapsedMs = (): number => performance.now() - startedAt;
  const cpuBefore = await stage.ask<number>("cpu");
  await stage.load("start");
  for (let taken = 0; taken < LEAST_SAMPLES || elapsedMs() < minutes * 60_000; taken += 1) {
    // Samples that a busy machine has missed are not made up for: the collector would leave the server no time.
    await delay(intervalMs - (elapsedMs() % intervalMs));
    onSample({ ...await stage.ask<Sample>("sample"), minutes: elapsedMs() / 60_000 });
  }
  await stage.load("stop");
  return (await stage.ask<number>("cpu") - cpuBefore) / 1000 / elapsedMs();
}

async function storm(stage: Stage): Promise<Storm> {
  const before = await stage.until(Infinity);
  const openMs = await stage.load<number>("storm");
  const during = await stage.until(Infinity);
  await stage.load("cut");
  const stormed = during.sample.connections - before.sample.connections;
  const { ms: goneMs } = await stage.until(before.sample.connections + Math.ceil(stormed / 2));
  await stage.load("calm");
  await stage.until(before.sample.connections);
  return { openMs, goneMs };
}

async function heartbeat(stage: Stage, { heartbeatMs }: Plan): Promise<Soak["heartbeat"]> {
  await stage.load("quiet");
  const measure = async (): Promise<[pings: number, cpu: number, at: number]> => [
    (await stage.load<Traffic>("traffic")).pings,
    await stage.ask<number>("cpu"),
    performance.now(),
  ];
  const [pings, cpu, at] = await measure();
  await delay(HEARTBEATS * heartbeatMs);
  const [pingsAfter, cpuAfter, atAfter] = await measure();
  return { pings: pingsAfter - pings, cpuMs: (cpuAfter - cpu) / 1000, seconds: (atAfter - at) / 1000 };
}

async function runPhases(
  stage: Stage,
  plan: Plan,
  say: (phase: string, sample?: TimedSample) => void,
): Promise<Omit<Soak, "runtime" | "version" | "subject" | "plan" | "leak">> {
  const before = await stage.ask<Sample>("census");
  say("opening");
  await stage.load("open");
  const samples: TimedSample[] = [];
  const cpuShare = await drive(stage, plan, (sample) => {
    samples.push(sample);
    say("traffic", sample);
  });
  say("storms");
  const storms: Storm[] = [];
  while (storms.length < STORMS) storms.push(await storm(stage));
  say("heartbeat");
  const pinged = await heartbeat(stage, plan);
  say("closing");
  await stage.load("close");
  const emptied = await stage.untilEmpty();
  const traffic = await stage.load<Traffic>("traffic");
  const closed = await stage.ask<Sample>("close");
  const exitCode = await stage.server.ended(GONE_MS).catch(() => undefined);
  return { before, samples, traffic, cpuShare, storms, heartbeat: pinged, emptied, closed, exitCode };
}

/**
 * Runs all phases.
 *
 * @param leak the fault that the server gets on purpose
 * @param say told of each phase when it begins, and of each sample of the traffic
 */
export async function soak(
  runtime: Runtime,
  subject: Subject,
  plan: Plan,
  leak?: Leak,
  say: (phase: string, sample?: TimedSample) => void = () => {},
): Promise<Soak> {
  const stage = await Stage.open(runtime, subject, plan, leak);
  try {
    const { name, version } = runtime;
    return { runtime: name, version, subject, plan, leak, ...await runPhases(stage, plan, say) };
  } finally {
    await stage.stop();
  }
}
