/** One round of the chaos: a server, two waves of clients, and the comparison of what both ends have seen. */

import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { certificate } from "../support/certificate.ts";
import { Program } from "../support/program.ts";
import type { ClientVisit } from "./client.ts";
import { type Case, faultsOf, serverFaults } from "./judge.ts";
import { planRound, type ProcessPlan, type Setting, type Wave } from "./plan.ts";
import { type ClientEvent, recordOf, type ServerReport, type ServerState } from "./records.ts";
import { Road } from "./road.ts";

/** How long a step of a round may take, whatever the machine does besides. */
const STEP_MS = 60_000;
/** How long `app.close` waits for its clients, all of which answer, and for those that never do. */
const CLOSE_MS = 30_000;
const LOST_CLOSE_MS = 4_000;

/** What a round has found, and figures that show what it has done. */
export interface RoundResult {
  readonly faults: readonly string[];
  readonly connections: number;
  readonly clean: number;
  readonly unclean: number;
  readonly goneAway: number;
  readonly messages: number;
  readonly closingMs: number;
  readonly exitingMs: number;
}

/** Runs a round. `command` starts a file under the runtime of the server. */
export async function runRound(command: readonly string[], setting: Setting, seed: number): Promise<RoundResult> {
  const folder = await mkdtemp(join(tmpdir(), "spacenode-chaos-"));
  try {
    return await new Round(command, setting, folder).run(planRound(setting, seed));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The processes and roads of a round, and their files. */
class Round {
  readonly #setting: Setting;
  readonly #folder: string;
  /** The time that `app.close` is given. */
  readonly #closeMs: number;
  readonly #env: NodeJS.ProcessEnv;
  readonly #server: Program;
  readonly #roads: Road[] = [];
  readonly #faults: string[] = [];
  /** The counted messages of the first wave. */
  #messages = 0;
  #files = 0;

  constructor(command: readonly string[], setting: Setting, folder: string) {
    this.#setting = setting;
    this.#folder = folder;
    const { key, cert } = setting.isSecure ? certificate() : { key: "", cert: "" };
    this.#env = { SETTING: JSON.stringify(setting), KEY: key, CERT: cert };
    this.#closeMs = setting.losesPeers ? LOST_CLOSE_MS : CLOSE_MS;
    this.#server = Program.command([...command, "tests/chaos/server.ts"], {
      ...this.#env,
      TIMEOUT_MS: String(this.#closeMs),
      REPORT: join(folder, "report.json"),
    }, 3 * STEP_MS);
  }

  async run([first, last]: readonly [Wave, Wave]): Promise<RoundResult> {
    const [line] = await this.#server.line(/^\[\d+,\d+\]$/);
    const [port, control] = JSON.parse(line) as [number, number];
    const unfinished: Omit<Case, "server">[] = await this.#runFirst(first, port, control);
    unfinished.push(...await this.#runLast(last, port, control));
    const path = join(this.#folder, "report.json");
    if (!existsSync(path)) throw new Error(["the server has left no report", ...this.#faults].join("; "));
    const report = JSON.parse(await readFile(path, "utf8")) as ServerReport;
    const cases = unfinished.map((each): Case => ({
      ...each,
      server: report.records.filter(({ id }) => id === each.plan.id),
    }));
    const closes = report.records.flatMap((record) => record.closes);
    return {
      faults: [...this.#faults, ...serverFaults(report, this.#closeMs), ...cases.flatMap(faultsOf)],
      connections: report.records.length,
      clean: closes.filter(({ wasClean }) => wasClean).length,
      unclean: closes.filter(({ wasClean }) => !wasClean).length,
      goneAway: closes.filter(({ code }) => code === 1001).length,
      closingMs: report.closingMs,
      exitingMs: report.exitingMs,
      messages: cases.reduce((sum, { client, server }) => {
        return sum + client.received.length + server.reduce((own, { received }) => own + received.length, 0);
      }, 0),
    };
  }

  /** All clients come and leave. Then nothing may be left of them, although the app goes on. */
  async #runFirst(wave: Wave, port: number, control: number): Promise<Omit<Case, "server">[]> {
    const crowds = await this.#start(wave, port);
    await Promise.all(crowds.map(({ program }) => program.exited));
    const cases = await Promise.all(crowds.map((crowd) => this.#casesOf(crowd, false)));
    let state: ServerState;
    const endMs = Date.now() + STEP_MS;
    do {
      state = await this.#ask(control, "/state");
    } while (state.sockets + state.connections + state.topics + state.busy > 0 && Date.now() < endMs);
    const { messages, ...left } = state;
    this.#messages = messages;
    if (Object.values(left).some((count) => count > 0)) {
      this.#faults.push(`all clients have left, and this has not: ${JSON.stringify(left)}`);
    }
    return cases.flat();
  }

  /** The server closes in the middle of the traffic, and has to end by itself. */
  async #runLast(wave: Wave, port: number, control: number): Promise<Omit<Case, "server">[]> {
    const crowds = await this.#start(wave, port);
    await this.#ask(control, `/close?at=${this.#messages + wave.closesAt}`);
    const isStuck = await Promise.race([
      this.#server.exited.then(() => false),
      delay(STEP_MS, true, { ref: false }),
    ]);
    if (isStuck) {
      const state = await this.#ask(control, "/state").catch(() => "the app is closing");
      this.#faults.push(`the server still runs ${STEP_MS} ms after it was asked to close: ${JSON.stringify(state)}`);
      this.#server.kill("SIGKILL");
    }
    const { code, signal } = await this.#server.exited;
    if (code !== 0 || this.#server.errors !== "") {
      const ended = `the server ended with ${signal ?? code}`;
      this.#faults.push(`${ended}; it printed ${this.#server.lines.slice(1)}, and as errors: ${this.#server.errors}`);
    }
    for (const road of this.#roads) if (this.#setting.losesPeers) road.dispose();
    for (const { program, plan } of crowds) if (plan.frozen?.forMs === Infinity) program.kill("SIGKILL");
    await Promise.all(crowds.map(({ program }) => program.exited));
    const cases = await Promise.all(crowds.map((crowd) => this.#casesOf(crowd, true)));
    for (const road of this.#roads) road.dispose();
    return cases.flat();
  }

  async #start(wave: Wave, port: number): Promise<Crowd[]> {
    const crowds = await Promise.all(wave.processes.map(async (plan): Promise<Crowd> => {
      const roads = await Promise.all(plan.connections.map(({ road }) => Road.build(port, road)));
      this.#roads.push(...roads);
      const visits = plan.connections.map((each, k): ClientVisit => ({ plan: each.plan, port: roads[k]!.port }));
      const notes = join(this.#folder, `notes-${this.#files++}.json`);
      const program = Program.file(
        "tests/chaos/client.ts",
        {
          ...this.#env,
          VISITS: JSON.stringify(visits),
          NOTES: notes,
        },
        [],
        3 * STEP_MS,
      );
      return { program, plan, roads, notes };
    }));
    await Promise.all(crowds.map(({ program }) => program.line(/^begins$/)));
    for (const { program, plan } of crowds) void disturb(program, plan);
    return crowds;
  }

  async #casesOf({ program, plan, roads, notes }: Crowd, isLast: boolean): Promise<Omit<Case, "server">[]> {
    const { code, signal } = await program.exited;
    const wasKilled = signal !== null;
    if (code !== 0 && plan.killedAfterMs === undefined && plan.frozen?.forMs !== Infinity) {
      this.#faults.push(`a process of clients ended with ${signal ?? code}: ${program.errors}`);
    }
    const lines = (await readFile(notes, "utf8")).split("\n");
    const events = lines.slice(0, -1).map((each) => JSON.parse(each) as ClientEvent);
    return plan.connections.map((each, k) => ({
      plan: each.plan,
      client: recordOf(each.plan.id, events),
      isUndisturbed: !wasKilled && !roads[k]!.isBroken,
      isLast,
    }));
  }

  async #ask(control: number, path: string): Promise<ServerState> {
    return await (await fetch(`http://127.0.0.1:${control}${path}`)).json() as ServerState;
  }
}

/** A process of clients, with the roads that it uses and the file of its notes. */
interface Crowd {
  readonly program: Program;
  readonly plan: ProcessPlan;
  readonly roads: readonly Road[];
  readonly notes: string;
}

async function disturb(program: Program, { killedAfterMs, frozen }: ProcessPlan): Promise<void> {
  if (killedAfterMs !== undefined) {
    await delay(killedAfterMs);
    program.kill("SIGKILL");
  }
  if (frozen === undefined) return;
  await delay(frozen.afterMs);
  program.kill("SIGSTOP");
  if (frozen.forMs === Infinity) return;
  await delay(frozen.forMs);
  program.kill("SIGCONT");
}
