/** The messages about presence between processes, and the times after which lost ones are repaired. */

import { describe, expect, test, vi } from "vitest";
import { Bus, OPTIONS, pass, type Process, useClock, view } from "../../support/presence-bus.ts";

useClock();

describe("time", () => {
  test("a process without changes is kept by its heartbeats", async () => {
    const [a, b] = await new Bus().meet(2);
    a.presence.join("room", "1", "Ada");
    for (let i = 0; i < 20; i++) {
      await pass(OPTIONS.intervalMs / 2);
      expect(view(b)).toEqual(["process 0 1 Ada"]);
    }
    expect(a.told.filter((text) => text.includes("Ada")).length).toBeLessThanOrEqual(2);
  });

  test("a silent process is forgotten after timeoutMs, and not much later", async () => {
    const bus = new Bus();
    const [a, b] = await bus.meet(2);
    a.presence.join("room", "1", "Ada");
    await pass(OPTIONS.intervalMs);
    bus.kill(a);
    await pass(OPTIONS.timeoutMs - OPTIONS.intervalMs);
    expect(view(b)).toEqual(["process 0 1 Ada"]);
    await pass(2 * OPTIONS.intervalMs);
    expect(view(b)).toEqual([]);
  });

  test("a process that has stood still keeps the others until it has read their messages", async () => {
    const bus = new Bus();
    const [a, b, dead] = await bus.meet(3);
    for (const { id, presence } of [b, dead]) presence.join("room", id, "here");
    await pass(OPTIONS.intervalMs);
    bus.kill(dead);
    // The clock has gone on by a minute. The next heartbeat comes before the messages.
    const now = performance.now.bind(performance);
    const jump = vi.spyOn(performance, "now").mockImplementation(() => now() + 60_000);
    bus.loses = (_from, to) => to === a;
    await pass(OPTIONS.intervalMs);
    expect(view(a)).toHaveLength(2);
    bus.loses = () => false;
    await pass(2 * OPTIONS.timeoutMs);
    expect(view(a)).toEqual(["process 1 process 1 here"]);
    jump.mockRestore();
  });

  test.each<[string, (a: Process) => void, string[]]>([
    ["a join", ({ presence }) => presence.join("room", "2", "Bob"), ["process 0 1 Ada", "process 0 2 Bob"]],
    ["a change", ({ presence }) => presence.join("room", "1", "Eve"), ["process 0 1 Eve"]],
    ["a leave", ({ presence }) => presence.leave("room", "1"), []],
  ])("%s that was lost is noticed and repaired with the next heartbeat", async (_name, change, expected) => {
    const bus = new Bus();
    const [a, b] = await bus.meet(2);
    a.presence.join("room", "1", "Ada");
    await pass(10);
    bus.loses = () => true;
    change(a);
    await pass(10);
    bus.loses = () => false;
    expect(view(b)).toEqual(["process 0 1 Ada"]);
    await pass(OPTIONS.intervalMs + 100);
    expect(view(b)).toEqual(expected);
  });

  test("one message serves all processes that ask for the state at once", async () => {
    const bus = new Bus();
    const all = await bus.meet(10);
    for (const { presence, id } of all) presence.join("room", "1", id);
    await pass(100);
    for (const { told } of all) told.length = 0;
    // All ask at once, as after a cut of the broker.
    for (const { presence } of all) presence.greet();
    await pass(200);
    const states = all.map(({ told }) => told.filter((text) => text.includes('"room"')).length);
    expect(states).toEqual(Array(10).fill(1));
    for (const each of all) expect(view(each)).toHaveLength(10);
  });

  test("after stop a process sends nothing, and the others forget it at once", async () => {
    const bus = new Bus();
    const [a, b] = await bus.meet(2);
    a.presence.join("room", "1", "Ada");
    await pass(10);
    a.presence.stop();
    expect(view(b)).toEqual([]);
    a.told.length = 0;
    await pass(4 * OPTIONS.timeoutMs);
    expect([a.told, view(b)]).toEqual([[], []]);
  });
});

describe("messages of others", () => {
  const NEWS = [
    "",
    "hello",
    "null",
    "42",
    "[]",
    '"text"',
    '{"sequence":"1"}',
    '{"sequence":1.5,"reset":true}',
    '{"sequence":1,"reset":true,"joined":5}',
    '{"sequence":1,"reset":true,"joined":{"length":1}}',
    '{"sequence":1,"reset":true,"joined":[null]}',
    '{"sequence":1,"reset":true,"joined":[[]]}',
    '{"sequence":1,"reset":true,"joined":[[1,2,3]]}',
    '{"sequence":1,"reset":true,"joined":["room"]}',
    '{"sequence":1,"reset":true,"joined":[["room",{}]]}',
    '{"sequence":1,"reset":true,"left":[null]}',
    '{"sequence":1,"reset":true,"left":"room"}',
    '{"joined":[["room","1","nobody"]]}',
  ];

  test.each(NEWS)("are ignored if they are not valid: %s", async (text) => {
    const [a, b] = await new Bus().meet(2);
    b.presence.join("room", "1", "Bob");
    await pass(10);
    expect(() => a.presence.receive(text, "process 1")).not.toThrow();
    expect(() => a.presence.receive(text, "somebody else")).not.toThrow();
    await pass(2 * OPTIONS.intervalMs);
    expect(view(a)).toEqual(["process 1 1 Bob"]);
  });

  test("may have names that are members of every object", async () => {
    const [a, b] = await new Bus().meet(2);
    for (const name of ["__proto__", "constructor", "toString"]) a.presence.join(name, name, name);
    await pass(10);
    for (const name of ["__proto__", "constructor", "toString"]) {
      expect(view(b, name)).toEqual([`process 0 ${name} ${name}`]);
    }
    a.presence.leave("__proto__", "__proto__");
    await pass(10);
    expect(view(b, "__proto__")).toEqual([]);
  });

  test("fill a limited number of entries, which are free again when a process goes", async () => {
    const [{ presence }] = await new Bus().meet(1);
    const perMessage = 50_000;
    const flood = (process: number, sequence: number): void => {
      const joined = Array.from({ length: perMessage }, (_, i) => [`${sequence}`, `${i}`, 0]);
      presence.receive(JSON.stringify({ sequence, reset: sequence === 1, joined }), `process ${process}`);
    };
    for (let sequence = 1; sequence <= 25; sequence++) flood(1, sequence);
    const count = (): number => {
      let sum = 0;
      for (let sequence = 1; sequence <= 25; sequence++) sum += presence.of(`${sequence}`).length;
      return sum;
    };
    expect(count()).toBe(1_000_000);
    presence.receive('{"sequence":1,"reset":true,"joined":[["room","1","Bob"]]}', "process 2");
    expect(presence.of("room")).toEqual([]);
    presence.receive('{"bye":true}', "process 1");
    expect(count()).toBe(0);
    presence.receive('{"sequence":2,"reset":true,"joined":[["room","1","Bob"]]}', "process 2");
    expect(presence.of("room")).toHaveLength(1);
  });

  test("are taken from a limited number of processes", async () => {
    const [{ presence }] = await new Bus().meet(1);
    for (let i = 0; i < 5_000; i++) {
      presence.receive('{"sequence":1,"reset":true,"joined":[["room","1",0]]}', `process ${i}`);
    }
    expect(presence.of("room")).toHaveLength(4_096);
    await pass(OPTIONS.timeoutMs + 2 * OPTIONS.intervalMs);
    expect(presence.of("room")).toHaveLength(0);
  });
});
