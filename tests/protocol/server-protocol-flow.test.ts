// What a connection does when its surroundings step in: pausing, closing and failing, also in the middle of a chunk.

import { describe, expect, test } from "vitest";
import { ProtocolError } from "../../src/protocol/errors.ts";
import { binary, close, continuation, fragmented, opcodes, ping, pong, text } from "../support/frames.ts";
import { hex } from "../support/hex.ts";
import { chunkOf, everyCut, failed, record, type Recording } from "../support/protocol.ts";

const more = { fin: false };
const fault = new ProtocolError(1008, "Enough");

/** A connection of which a handler does something once, when it is given this line. */
function doing(line: string, act: (recording: Recording) => void): Recording {
  const recording = record();
  recording.sink.onHandedOut = (said) => {
    if (said === line) act(recording);
  };
  return recording;
}

describe("a pause from inside a handler", () => {
  test("holds back the rest of the chunk, and a resume hands it out", () => {
    const { connection, lines } = doing("text 1", ({ connection }) => connection.pause());
    connection.receive(chunkOf(text("1"), ping("p"), text("2"), pong("q"), text("3")));
    expect(lines).toEqual(["text 1"]);
    expect(connection.isPaused).toBe(true);
    connection.resume();
    expect(lines).toEqual(["text 1", "> pong 70", "ping 70", "text 2", "pong 71", "text 3"]);
    expect(connection.isPaused).toBe(false);
  });

  test("holds back what comes during it, in order", () => {
    const { connection, lines } = doing("text 1", ({ connection }) => connection.pause());
    const third = text("third");
    connection.receive(chunkOf(text("1"), text("2"), third.subarray(0, 3)));
    connection.receive(Buffer.from(third.subarray(3, 8)));
    connection.receive(chunkOf(third.subarray(8), text("4")));
    expect(lines).toEqual(["text 1"]);
    connection.resume();
    expect(lines).toEqual(["text 1", "text 2", "text third", "text 4"]);
  });

  test.each([
    ["a Ping, which has been answered", ping("p"), "ping 70", ["> pong 70", "ping 70"]],
    ["a Pong", pong("p"), "pong 70", ["pong 70"]],
    ["a fragmented message", chunkOf(...fragmented(opcodes.text, ["a", "b"])), "text ab", ["text ab"]],
  ])("works for %s", (_name, bytes, line, said) => {
    const { connection, lines } = doing(line, ({ connection }) => connection.pause());
    connection.receive(chunkOf(bytes, text("rest")));
    expect(lines).toEqual(said);
    connection.resume();
    expect(lines).toEqual([...said, "text rest"]);
  });

  test("leaves nothing to do when it is taken back at once", () => {
    const { connection, lines } = doing("text 1", ({ connection }) => {
      connection.pause();
      connection.resume();
    });
    connection.receive(chunkOf(text("1"), text("2")));
    connection.receive(text("3"));
    expect(lines).toEqual(["text 1", "text 2", "text 3"]);
  });

  test("keeps the order when it is taken back while older chunks are read", () => {
    const { connection, lines } = doing("text 1", ({ connection }) => {
      connection.pause();
      connection.resume();
    });
    connection.pause();
    connection.receive(chunkOf(text("1"), text("2")));
    connection.receive(text("3"));
    connection.resume();
    expect(lines).toEqual(["text 1", "text 2", "text 3"]);
  });

  test("keeps a fault and a Close unread", () => {
    for (const [bytes, end] of [[hex("ffff"), failed(1002)], [close(1000), ["> close 1000", "finished"]]] as const) {
      const { connection, lines } = doing("text 1", ({ connection }) => connection.pause());
      connection.receive(chunkOf(text("1"), bytes));
      expect(lines).toEqual(["text 1"]);
      expect(connection.state).toBe("open");
      connection.resume();
      expect(lines).toEqual(["text 1", ...end]);
    }
  });

  test("after every message, Ping and Pong loses nothing, however the bytes are cut", () => {
    const wire = chunkOf(text("a"), ping("p"), text("b", more), pong("q"), continuation("c"), binary("d"), close(1000));
    const handedOut = ["text a", "ping 70", "pong 71", "text bc", "binary 64"];
    for (const [cut, chunks] of everyCut(wire)) {
      const { connection, sink, lines } = record();
      let given = 0;
      sink.onHandedOut = () => {
        given++;
        connection.pause();
      };
      for (const chunk of chunks) {
        connection.receive(Buffer.from(chunk));
        while (connection.isPaused) {
          expect(given, cut).toBe(1);
          given = 0;
          connection.resume();
        }
      }
      expect(lines.filter((line) => handedOut.includes(line)), cut).toEqual(handedOut);
      expect(lines.slice(-2), cut).toEqual(["> close 1000", "finished"]);
    }
  });
});

describe("bytes that come while others are read", () => {
  test("are read behind them, without waiting for more", () => {
    const { connection, lines } = doing("text 1", ({ connection }) => connection.receive(text("3")));
    connection.receive(chunkOf(text("1"), text("2")));
    expect(lines).toEqual(["text 1", "text 2", "text 3"]);
  });

  test("are read behind the start of a header that ends the chunk", () => {
    const second = text("2");
    const { connection, lines } = doing(
      "text 1",
      ({ connection }) => connection.receive(Buffer.from(second.subarray(3))),
    );
    connection.receive(chunkOf(text("1"), second.subarray(0, 3)));
    expect(lines).toEqual(["text 1", "text 2"]);
  });

  test("are kept when reading is paused then", () => {
    const { connection, lines } = doing("text 1", ({ connection }) => {
      connection.receive(text("3"));
      connection.pause();
    });
    connection.receive(chunkOf(text("1"), text("2")));
    expect(lines).toEqual(["text 1"]);
    connection.resume();
    expect(lines).toEqual(["text 1", "text 2", "text 3"]);
  });
});

describe("close", () => {
  test("waits for the peer's Close, and messages still come until then, §7.1.2", () => {
    const { connection, lines } = record();
    connection.close(1001, "bye", Buffer.from("bye"));
    expect(connection.state).toBe("closing");
    expect(connection.closeSent).toEqual({ code: 1001, reason: "bye" });
    connection.receive(chunkOf(text("a"), ...fragmented(opcodes.binary, ["b", "c"])));
    expect(connection.closeReceived).toBeUndefined();
    connection.receive(close(1001, "seen"));
    expect(lines).toEqual(["> close 1001 bye", "text a", "binary 6263", "finished"]);
    expect(connection.closeSent).toEqual({ code: 1001, reason: "bye" });
    expect(connection.closeReceived).toEqual({ code: 1001, reason: "seen" });
    expect(connection.state).toBe("closed");
  });

  test("from inside a handler goes out at once, and the rest of the chunk is read", () => {
    const { connection, lines } = doing("text 1", ({ connection }) => connection.close(1000, "", hex("")));
    connection.receive(chunkOf(text("1"), text("2"), close(1000)));
    expect(lines).toEqual(["text 1", "> close 1000", "text 2", "finished"]);
  });

  test("is followed by nothing that is sent: Pings are only handed out", () => {
    const { connection, lines } = record();
    connection.close(1000, "", hex(""));
    connection.receive(ping("p"));
    expect(lines).toEqual(["> close 1000", "ping 70"]);
  });

  test("without a status sends an empty body", () => {
    const { connection, lines } = record();
    connection.close(1005, "", hex(""));
    expect(lines).toEqual(["> close"]);
  });

  test("a second time does nothing", () => {
    const { connection, lines } = record();
    connection.close(1000, "", hex(""));
    connection.close(1001, "", hex(""));
    expect(lines).toEqual(["> close 1000"]);
    expect(connection.closeSent).toEqual({ code: 1000, reason: "" });
  });

  test.each<[string, (recording: Recording) => void]>([
    ["the peer's Close", ({ connection }) => connection.receive(close(1001))],
    ["a fault", ({ connection }) => connection.receive(hex("ffff"))],
    ["an end without Close", ({ connection }) => connection.abandon()],
  ])("after %s does nothing", (_name, end) => {
    const recording = record();
    end(recording);
    const { closeSent } = recording.connection;
    const said = [...recording.lines];
    recording.connection.close(1000, "", hex(""));
    expect(recording.lines).toEqual(said);
    expect(recording.connection.closeSent).toEqual(closeSent);
    expect(recording.connection.state).toBe("closed");
  });

  test("behind which the peer breaks a rule ends there, without a second Close", () => {
    const { connection, lines } = record();
    connection.close(1000, "", hex(""));
    connection.receive(hex("ffff"));
    expect(lines).toEqual(["> close 1000", "finished"]);
    expect(connection.error?.closeCode).toBe(1002);
    expect(connection.closeSent).toEqual({ code: 1000, reason: "" });
  });
});

describe("fail", () => {
  test("says why and reads nothing more", () => {
    const { connection, lines } = record();
    connection.fail(fault);
    connection.receive(chunkOf(text("late"), close(1000)));
    expect(lines).toEqual(failed(1008));
    expect(connection.error).toBe(fault);
    expect(connection.closeSent).toEqual({ code: 1008, reason: "" });
    expect(connection.state).toBe("closed");
  });

  test("from inside a handler drops the rest of the chunk", () => {
    const { connection, lines } = doing("text 1", ({ connection }) => connection.fail(fault));
    connection.receive(chunkOf(text("1"), text("2"), close(1000)));
    expect(lines).toEqual(["text 1", ...failed(1008)]);
    expect(connection.closeReceived).toBeUndefined();
    expect(connection.isMidMessage).toBe(false);
  });

  test("drops what was held back", () => {
    const { connection, lines } = record();
    connection.pause();
    connection.receive(text("late"));
    connection.fail(fault);
    connection.receive(text("later"));
    expect(connection.isMidMessage).toBe(false);
    connection.resume();
    expect(lines).toEqual(failed(1008));
  });

  test("a second time does nothing", () => {
    const { connection, lines } = record();
    connection.fail(fault);
    connection.fail(new ProtocolError(1002, "Another"));
    expect(lines).toEqual(failed(1008));
    expect(connection.error).toBe(fault);
  });

  test("after the peer's Close or an end without one does nothing", () => {
    for (
      const end of [(it: Recording) => it.connection.receive(close(1000)), (it: Recording) => it.connection.abandon()]
    ) {
      const recording = record();
      end(recording);
      const said = [...recording.lines];
      recording.connection.fail(fault);
      expect(recording.lines).toEqual(said);
      expect(recording.connection.error).toBeUndefined();
    }
  });
});

describe("abandon", () => {
  test("from inside a handler drops the rest of the chunk and says nothing", () => {
    const { connection, lines } = doing("text 1", ({ connection }) => connection.abandon());
    connection.receive(chunkOf(text("1"), ping("p"), text("2")));
    connection.receive(text("3"));
    expect(lines).toEqual(["text 1"]);
    expect(connection.state).toBe("closed");
    expect(connection.closeSent).toBeUndefined();
  });

  test("from inside a handler drops the chunks that were held back", () => {
    const { connection, lines } = doing("text 1", ({ connection }) => connection.abandon());
    connection.pause();
    connection.receive(text("1"));
    connection.receive(text("2"));
    connection.resume();
    expect(lines).toEqual(["text 1"]);
    expect(connection.isMidMessage).toBe(false);
  });

  test("in the middle of a message forgets it", () => {
    const { connection, lines } = record();
    connection.receive(text("a", more));
    connection.abandon();
    connection.receive(continuation("b"));
    connection.resume();
    expect(lines).toEqual([]);
    expect(connection.isMidMessage).toBe(false);
  });
});

describe("the clock's questions", () => {
  test("isMidMessage is true from a message's first byte to its last", () => {
    const { connection } = record();
    const steps: [frame: Uint8Array, endsMessage: boolean][] = [
      [text("ab", more), false],
      [ping("p"), false],
      [continuation(""), true],
      [binary("c"), true],
      [text(""), true],
    ];
    expect(connection.isMidMessage).toBe(false);
    for (const [frame, endsMessage] of steps) {
      const answers = Array.from(frame, (octet) => {
        connection.receive(Buffer.of(octet));
        return connection.isMidMessage;
      });
      expect(answers).toEqual(answers.map((_, i) => i < frame.length - 1 || !endsMessage));
    }
  });

  test("unitsRead changes with each message, however it comes, and not inside one", () => {
    const wire = [text("a"), text("b", more), ping(), pong(), continuation("c", more), continuation("d"), binary("e")];
    for (const chunkSize of [1, 1000]) {
      const { connection } = record();
      const counts = wire.map((frame) => {
        for (let at = 0; at < frame.length; at += chunkSize) {
          connection.receive(Buffer.from(frame.subarray(at, at + chunkSize)));
        }
        return connection.unitsRead;
      });
      expect(counts).toEqual([1, 1, 1, 1, 1, 2, 3]);
    }
  });

  test("a control frame outside of a message counts too: what follows it has only just begun", () => {
    const { connection } = record();
    const [first, second] = [pong("p"), text("a")];
    connection.receive(Buffer.from(first.subarray(0, 4)));
    expect(connection.isMidMessage).toBe(true);
    const { unitsRead } = connection;
    connection.receive(chunkOf(first.subarray(4), second.subarray(0, 4)));
    expect(connection.isMidMessage).toBe(true);
    expect(connection.unitsRead).toBe(unitsRead + 1);
  });
});
