// A process stands still for longer than all of its time-outs: a handler computes for that long, or the process is
// stopped, as a sleeping laptop stops it. Whoever has answered meanwhile is not blamed for what the process has not
// read.

import { connect as connectTcp, type Socket as RawSocket } from "node:net";
import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import { expect, onTestFinished, test } from "vitest";
import { close, continuation, opcodes, ping, pong, text } from "../support/frames.ts";
import { Program } from "../support/program.ts";
import { type ConnectOptions, RawClient, statusOf, upgradeRequest } from "../support/raw-client.ts";
import { untilStopped } from "../support/server-program.ts";

const TIMEOUT_MS = 1_500;
const STILL_MS = 2 * TIMEOUT_MS;
const OPTIONS = {
  // The time-out is shorter than the interval, so that it is over as soon as the process goes on.
  heartbeat: { intervalMs: TIMEOUT_MS + 100, timeoutMs: TIMEOUT_MS },
  messageTimeoutMs: TIMEOUT_MS,
  closeTimeoutMs: TIMEOUT_MS,
  handshakeTimeoutMs: TIMEOUT_MS,
};

interface Ports {
  readonly control: number;
  readonly main: number;
  readonly ending: number;
}

async function connect(port: number, options: ConnectOptions = {}): Promise<RawClient> {
  const client = await RawClient.connect(port, options);
  onTestFinished(() => client.terminate());
  return client;
}

/** Sends the first part of a request. Returns its connection. */
async function beginRequest(port: number, part: string): Promise<RawSocket> {
  const stream = connectTcp(port, "127.0.0.1");
  onTestFinished(() => void stream.destroy());
  await once(stream, "connect");
  stream.write(part);
  return stream;
}

async function responseOf(stream: RawSocket): Promise<string> {
  return (await once(stream, "data") as [Buffer])[0].toString("latin1");
}

async function expectEcho(client: RawClient, message: string): Promise<void> {
  client.send(text(message));
  expect(await client.nextMessage()).toBe(message);
}

async function nextOf(client: RawClient, opcode: number): Promise<void> {
  while ((await client.nextFrame()).opcode !== opcode) { /* Other frames may come before it. */ }
}

/** Makes the process of a program stand still. Resolves once it does, with a function that waits for the end of it. */
type StandStill = (program: Program, ports: Ports) => Promise<() => Promise<unknown>>;

test.each<[string, StandStill]>([
  ["blocked by its own code", async (program, { control }) => {
    const client = await connect(control);
    client.send(text(`${STILL_MS}`));
    await program.line(/^still$/);
    client.send(close(1000));
    return () => client.closed();
  }],
  ["stopped, as by a sleep of the machine", async (program) => {
    program.kill("SIGSTOP");
    await untilStopped(program.pid);
    const isOver = delay(STILL_MS);
    return async () => {
      await isOver;
      program.kill("SIGCONT");
    };
  }],
])("a process that was %s reads what has come before it judges its peers", async (_name, standStill) => {
  const program = Program.file("tests/support/standing-server.ts", { OPTIONS: JSON.stringify(OPTIONS) }, [], 30_000);
  const ports = JSON.parse((await program.line(/^\{.*\}$/))[0]) as Ports;
  const { main } = ports;
  const [alive, sending, closing, silent] = await Promise.all(
    ["/", "/", "/close", "/silent"].map((path) => connect(main, { path })),
  );
  const leaving = await connect(ports.ending, { path: "/end" });
  await Promise.all([alive, sending, closing, silent].map((client) => nextOf(client, opcodes.ping)));

  sending.send(text("begun and ", { fin: false }), ping());
  closing.send(text("close, please"));
  leaving.send(text(`${TIMEOUT_MS}`));
  const [handshake, request] = [upgradeRequest(), "POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\n"];
  const connecting = await beginRequest(main, handshake.slice(0, -2));
  const posting = await beginRequest(main, `${request}half`);
  await nextOf(sending, opcodes.pong);
  for (const client of [closing, leaving]) await nextOf(client, opcodes.close);
  // A round trip on a new connection: the server has the connections before it.
  await expectEcho(await connect(main), "here");

  const goOn = await standStill(program, ports);
  alive.send(pong());
  sending.send(continuation("ended"));
  for (const client of [closing, leaving]) client.send(close(1000));
  connecting.write(handshake.slice(-2));
  posting.write("half");
  await goOn();

  await expectEcho(alive, "still here");
  expect(await sending.nextMessage()).toBe("begun and ended");
  await program.line(/^\/close 1000 clean$/);
  await program.line(/^\/end 1000 clean$/);
  expect(statusOf(await responseOf(connecting))).toBe(101);
  expect(await responseOf(posting)).toMatch(/^HTTP\/1.1 200 [^]*halfhalf$/);
  // The time-outs are still in force.
  await program.line(/^\/silent 1006 not clean$/);
  await program.end();
  expect(program.errors).toBe("");
}, 40_000);
