/** The stream of histories: its subjects, its clock and its consumers, with a real server. */
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import fc from "fast-check";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { StreamGoneError } from "../../src/brokers/nats-errors.ts";
import { encodeRecord } from "../../src/brokers/nats-record.ts";
import { HistoryStream, liveSubjects, storedSubject, subjectOf } from "../../src/brokers/nats-stream.ts";
import { createServer } from "../support/broker-contract.ts";
import { connected, natsServer } from "../support/nats-server.ts";
import { isInstalled } from "../support/server-program.ts";

const NEEDS = { size: 1_000, ageMs: 3_600_000 };

test("the subjects of histories are those of no plain topic, and of no history of another prefix", () => {
  const text = (characters: string): fc.Arbitrary<string> =>
    fc.array(fc.constantFrom(...characters), { minLength: 1, maxLength: 6 }).map((parts) => parts.join(""));
  const token = fc.oneof(text("aZ09_-$é🚀"), fc.constantFrom("live", "history", "bmV3cw", "life"));
  const prefixes = fc.array(token, { minLength: 1, maxLength: 4 }).map((tokens) => tokens.join("."));
  const topics = fc.oneof(text("aZ09_-$é🚀.*> \0"), fc.constantFrom("news", "live", "history"));
  fc.assert(
    fc.property(prefixes, topics, prefixes, topics, (prefix, topic, otherPrefix, otherTopic) => {
      const subjects = (prefix: string, topic: string): string[] => {
        const live = liveSubjects(prefix, topic).replace("*", "life");
        return [subjectOf(prefix, topic), live, storedSubject(live)];
      };
      const all = [...subjects(prefix, topic), ...subjects(otherPrefix, otherTopic)];
      const isSame = prefix === otherPrefix && topic === otherTopic;
      expect(new Set(all).size).toBe(isSame ? 3 : 6);
    }),
    { numRuns: 1_000 },
  );
});

describe.skipIf(!isInstalled(natsServer))("the stream of histories (nats-server)", () => {
  const open = async () => {
    const server = await (await createServer(natsServer)).start();
    const connection = await connected(server.port);
    const stream = new HistoryStream(connection, jetstream(connection), "test");
    await stream.ensure(NEEDS);
    return { server, connection, stream, manager: await jetstreamManager(connection) };
  };

  /** Stores records of one message each. */
  const fill = async (stream: HistoryStream, subject: string, count: number, bytes = 10): Promise<number[]> => {
    const seqs: number[] = [];
    for (let i = 0; i < count; i++) {
      const record = encodeRecord("epoch", i + 1, [Buffer.alloc(bytes, String(i))]);
      seqs.push(await stream.publish(subject, record, seqs.at(-1) ?? 0));
    }
    return seqs;
  };

  /** A stream whose first check waits until `answer` is called, and the spy on the request for which it waits. */
  const openWaiting = async () => {
    const { connection } = await open();
    const client = jetstream(connection);
    const manager = await client.jetstreamManager(false);
    client.jetstreamManager = () => Promise.resolve(manager);
    const { promise, resolve } = Promise.withResolvers<string>();
    const find = vi.spyOn(manager.streams, "find").mockReturnValueOnce(promise);
    const stream = new HistoryStream(connection, client, "test");
    const first = stream.ensure(NEEDS);
    await vi.waitFor(() => expect(find).toHaveBeenCalledOnce());
    return { stream, first, find, answer: () => resolve("test_history") };
  };

  test("is checked at once after the link was lost, though an earlier check gets no response", async () => {
    const { stream, find } = await openWaiting();
    stream.cut();
    await stream.ensure(NEEDS);
    expect(find).toHaveBeenCalledTimes(2);
    await stream.ensure(NEEDS);
    expect(find).toHaveBeenCalledTimes(2);
  });

  test("is checked again when the link was lost during the check that has found it", async () => {
    const { stream, first, find, answer } = await openWaiting();
    stream.cut();
    answer();
    await first;
    expect(find).toHaveBeenCalledOnce();
    await stream.ensure(NEEDS);
    expect(find).toHaveBeenCalledTimes(2);
  });

  test("tells the time of the server, however wrong the clock of the process is", async () => {
    const { connection } = await open();
    for (const error of [-3_600_000, 3_600_000]) {
      const now = Date.now();
      vi.useFakeTimers({ toFake: ["Date"], now: now + error });
      onTestFinished(() => void vi.useRealTimers());
      const stream = new HistoryStream(connection, jetstream(connection), "test");
      await stream.ensure(NEEDS);
      expect(Math.abs(stream.now() - now)).toBeLessThan(60_000);
      vi.useRealTimers();
    }
  });

  test("removes each consumer, also when the loop ends early or fails", async () => {
    const { stream, manager } = await open();
    const subject = stream.subject("news");
    const [first] = await fill(stream, subject, 20);
    const consumers = vi.fn(async () => (await manager.streams.info("test_history")).state.consumer_count);
    for await (const _record of stream.fetch(subject, first!, 20, 1_000_000)) break;
    await vi.waitFor(async () => expect(await consumers()).toBe(0));
    const failing = async (): Promise<void> => {
      for await (const _record of stream.fetch(subject, first!, 20, 1_000_000)) throw new Error("at fault");
    };
    await expect(failing()).rejects.toThrow("at fault");
    await vi.waitFor(async () => expect(await consumers()).toBe(0));
  });

  test("gives the messages from a sequence on, in their order", async () => {
    const { stream } = await open();
    const subject = stream.subject("news");
    const seqs = await fill(stream, subject, 20);
    const offsets: number[] = [];
    for await (const { messages } of stream.fetch(subject, seqs[5]!, 15, 1_000_000)) {
      offsets.push(messages[0]!.offset);
      if (offsets.length === 15) break;
    }
    expect(offsets).toEqual(Array.from({ length: 15 }, (_, i) => i + 6));
  });

  test("ends the messages soon after the bytes that are wanted, so that memory is bounded", async () => {
    const { stream } = await open();
    const subject = stream.subject("news");
    const [first] = await fill(stream, subject, 40, 200_000);
    let bytes = 0;
    for await (const { messages } of stream.fetch(subject, first!, 40, 300_000)) bytes += messages[0]!.bytes.length;
    expect(bytes).toBeGreaterThanOrEqual(300_000);
    expect(bytes).toBeLessThan(300_000 + 1_500_000);
  });

  test("ends the messages when the stream is deleted", async () => {
    const { stream, manager } = await open();
    const subject = stream.subject("news");
    const [first] = await fill(stream, subject, 3);
    let count = 0;
    for await (const _record of stream.fetch(subject, first!, 10, 1_000_000)) {
      if (++count === 3) await manager.streams.delete("test_history");
    }
    expect(count).toBe(3);
  });

  test("has other subjects when it was made anew, and says that the first one is gone", async () => {
    const { stream, manager } = await open();
    const before = stream.subject("news");
    const { config } = await manager.streams.info("test_history");
    await manager.streams.delete("test_history");
    await manager.streams.add(config);
    await expect(stream.state()).rejects.toThrow(StreamGoneError);
    await stream.ensure(NEEDS);
    expect(stream.subject("news")).not.toBe(before);
    expect(await stream.state()).toMatchObject({ first: 1, last: 0 });
  });

  test("publishes what it has stored, and the subject tells where that is", async () => {
    const { stream, connection } = await open();
    const subject = stream.subject("news");
    const heard = Promise.withResolvers<string>();
    connection.subscribe(liveSubjects("test", "news"), {
      callback: (_error, message) => heard.resolve(message.subject),
    });
    await fill(stream, subject, 1);
    expect(storedSubject(await heard.promise)).toBe(subject);
  });
});
