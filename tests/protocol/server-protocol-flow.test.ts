// `ServerProtocol` when the application pauses, closes, fails or terminates the connection, also in the middle of a
// chunk.

import { describe, expect, test } from "vitest";
import { ProtocolError } from "../../src/protocol/errors.ts";
import { binary, close, continuation, fragmented, opcodes, ping, pong, text } from "../support/frames.ts";
import { hex } from "../support/hex.ts";
import { chunkOf, everyCut, failed, record, type Recording } from "../support/protocol.ts";

const more = { fin: false };
const fault = new ProtocolError(1008, "Enough");

/** A connection whose handler calls `act` when it records this line. */
function doing(line: string, act: (recording: Recording) => void): Recording {
  const recording = record();
  recording.handler.onHandedOut = (said) => {
    if (said === line) act(recording);
  };
  return recording;
}

describe("a pause from inside a handler", () => {
  test("keeps the rest of the chunk unread, and resume hands it out", () => {
    const { protocol, lines } = doing("text 1", ({ protocol }) => protocol.pause());
    protocol.receive(chunkOf(text("1"), ping("p"), text("2"), pong("q"), text("3")));
    expect(lines).toEqual(["text 1"]);
    expect(protocol.isPaused).toBe(true);
    protocol.resume();
    expect(lines).toEqual(["text 1", "> pong 70", "ping 70", "text 2", "pong 71", "text 3"]);
    expect(protocol.isPaused).toBe(false);
  });

  test("keeps the bytes that come during the pause, in order", () => {
    const { protocol, lines } = doing("text 1", ({ protocol }) => protocol.pause());
    const third = text("third");
    protocol.receive(chunkOf(text("1"), text("2"), third.subarray(0, 3)));
    protocol.receive(Buffer.from(third.subarray(3, 8)));
    protocol.receive(chunkOf(third.subarray(8), text("4")));
    expect(lines).toEqual(["text 1"]);
    protocol.resume();
    expect(lines).toEqual(["text 1", "text 2", "text third", "text 4"]);
  });

  test.each([
    ["a Ping, which has been answered", ping("p"), "ping 70", ["> pong 70", "ping 70"]],
    ["a Pong", pong("p"), "pong 70", ["pong 70"]],
    ["a fragmented message", chunkOf(...fragmented(opcodes.text, ["a", "b"])), "text ab", ["text ab"]],
  ])("works for %s", (_name, bytes, line, said) => {
    const { protocol, lines } = doing(line, ({ protocol }) => protocol.pause());
    protocol.receive(chunkOf(bytes, text("rest")));
    expect(lines).toEqual(said);
    protocol.resume();
    expect(lines).toEqual([...said, "text rest"]);
  });

  test("changes nothing when resume follows at once", () => {
    const { protocol, lines } = doing("text 1", ({ protocol }) => {
      protocol.pause();
      protocol.resume();
    });
    protocol.receive(chunkOf(text("1"), text("2")));
    protocol.receive(text("3"));
    expect(lines).toEqual(["text 1", "text 2", "text 3"]);
  });

  test("keeps the order when resume follows at once while older chunks are read", () => {
    const { protocol, lines } = doing("text 1", ({ protocol }) => {
      protocol.pause();
      protocol.resume();
    });
    protocol.pause();
    protocol.receive(chunkOf(text("1"), text("2")));
    protocol.receive(text("3"));
    protocol.resume();
    expect(lines).toEqual(["text 1", "text 2", "text 3"]);
  });

  test("keeps a fault and a Close unread", () => {
    for (const [bytes, end] of [[hex("ffff"), failed(1002)], [close(1000), ["> close 1000", "finished"]]] as const) {
      const { protocol, lines } = doing("text 1", ({ protocol }) => protocol.pause());
      protocol.receive(chunkOf(text("1"), bytes));
      expect(lines).toEqual(["text 1"]);
      expect(protocol.state).toBe("open");
      protocol.resume();
      expect(lines).toEqual(["text 1", ...end]);
    }
  });

  test("after every message, Ping and Pong loses nothing, however the bytes are cut", () => {
    const wire = chunkOf(text("a"), ping("p"), text("b", more), pong("q"), continuation("c"), binary("d"), close(1000));
    const handedOut = ["text a", "ping 70", "pong 71", "text bc", "binary 64"];
    for (const [cut, chunks] of everyCut(wire)) {
      const { protocol, handler, lines } = record();
      let given = 0;
      handler.onHandedOut = () => {
        given++;
        protocol.pause();
      };
      for (const chunk of chunks) {
        protocol.receive(Buffer.from(chunk));
        while (protocol.isPaused) {
          expect(given, cut).toBe(1);
          given = 0;
          protocol.resume();
        }
      }
      expect(lines.filter((line) => handedOut.includes(line)), cut).toEqual(handedOut);
      expect(lines.slice(-2), cut).toEqual(["> close 1000", "finished"]);
    }
  });
});

describe("bytes that come while others are read", () => {
  test("are read behind those others, without waiting for more bytes", () => {
    const { protocol, lines } = doing("text 1", ({ protocol }) => protocol.receive(text("3")));
    protocol.receive(chunkOf(text("1"), text("2")));
    expect(lines).toEqual(["text 1", "text 2", "text 3"]);
  });

  test("are read behind the start of a header at the end of the chunk", () => {
    const second = text("2");
    const { protocol, lines } = doing(
      "text 1",
      ({ protocol }) => protocol.receive(Buffer.from(second.subarray(3))),
    );
    protocol.receive(chunkOf(text("1"), second.subarray(0, 3)));
    expect(lines).toEqual(["text 1", "text 2"]);
  });

  test("are kept when reading is paused then", () => {
    const { protocol, lines } = doing("text 1", ({ protocol }) => {
      protocol.receive(text("3"));
      protocol.pause();
    });
    protocol.receive(chunkOf(text("1"), text("2")));
    expect(lines).toEqual(["text 1"]);
    protocol.resume();
    expect(lines).toEqual(["text 1", "text 2", "text 3"]);
  });
});

describe("close", () => {
  test("waits for the peer's Close, and reads messages until then, §7.1.2", () => {
    const { protocol, lines } = record();
    protocol.close(1001, "bye", Buffer.from("bye"));
    expect(protocol.state).toBe("closing");
    expect(protocol.closeSent).toEqual({ code: 1001, reason: "bye" });
    protocol.receive(chunkOf(text("a"), ...fragmented(opcodes.binary, ["b", "c"])));
    expect(protocol.closeReceived).toBeUndefined();
    protocol.receive(close(1001, "seen"));
    expect(lines).toEqual(["> close 1001 bye", "text a", "binary 6263", "finished"]);
    expect(protocol.closeSent).toEqual({ code: 1001, reason: "bye" });
    expect(protocol.closeReceived).toEqual({ code: 1001, reason: "seen" });
    expect(protocol.state).toBe("closed");
  });

  test("from inside a handler sends its Close at once, and the rest of the chunk is read", () => {
    const { protocol, lines } = doing("text 1", ({ protocol }) => protocol.close(1000, "", hex("")));
    protocol.receive(chunkOf(text("1"), text("2"), close(1000)));
    expect(lines).toEqual(["text 1", "> close 1000", "text 2", "finished"]);
  });

  test("is the last to send a frame: a later Ping is handed out and not answered", () => {
    const { protocol, lines } = record();
    protocol.close(1000, "", hex(""));
    protocol.receive(ping("p"));
    expect(lines).toEqual(["> close 1000", "ping 70"]);
  });

  test("with the code 1005 sends an empty Close", () => {
    const { protocol, lines } = record();
    protocol.close(1005, "", hex(""));
    expect(lines).toEqual(["> close"]);
  });

  test("a second time does nothing", () => {
    const { protocol, lines } = record();
    protocol.close(1000, "", hex(""));
    protocol.close(1001, "", hex(""));
    expect(lines).toEqual(["> close 1000"]);
    expect(protocol.closeSent).toEqual({ code: 1000, reason: "" });
  });

  test.each<[string, (recording: Recording) => void]>([
    ["the peer's Close", ({ protocol }) => protocol.receive(close(1001))],
    ["a fault", ({ protocol }) => protocol.receive(hex("ffff"))],
    ["terminate", ({ protocol }) => protocol.terminate()],
  ])("after %s does nothing", (_name, end) => {
    const recording = record();
    end(recording);
    const { closeSent } = recording.protocol;
    const said = [...recording.lines];
    recording.protocol.close(1000, "", hex(""));
    expect(recording.lines).toEqual(said);
    expect(recording.protocol.closeSent).toEqual(closeSent);
    expect(recording.protocol.state).toBe("closed");
  });

  test("sends no second Close for a later fault of the peer", () => {
    const { protocol, lines } = record();
    protocol.close(1000, "", hex(""));
    protocol.receive(hex("ffff"));
    expect(lines).toEqual(["> close 1000", "finished"]);
    expect(protocol.error?.closeCode).toBe(1002);
    expect(protocol.closeSent).toEqual({ code: 1000, reason: "" });
  });
});

describe("fail", () => {
  test("sends the code of the error and reads nothing more", () => {
    const { protocol, lines } = record();
    protocol.fail(fault);
    protocol.receive(chunkOf(text("late"), close(1000)));
    expect(lines).toEqual(failed(1008));
    expect(protocol.error).toBe(fault);
    expect(protocol.closeSent).toEqual({ code: 1008, reason: "" });
    expect(protocol.state).toBe("closed");
  });

  test("from inside a handler drops the rest of the chunk", () => {
    const { protocol, lines } = doing("text 1", ({ protocol }) => protocol.fail(fault));
    protocol.receive(chunkOf(text("1"), text("2"), close(1000)));
    expect(lines).toEqual(["text 1", ...failed(1008)]);
    expect(protocol.closeReceived).toBeUndefined();
    expect(protocol.isMidMessage).toBe(false);
  });

  test("drops the bytes that were kept during a pause", () => {
    const { protocol, lines } = record();
    protocol.pause();
    protocol.receive(text("late"));
    protocol.fail(fault);
    protocol.receive(text("later"));
    expect(protocol.isMidMessage).toBe(false);
    protocol.resume();
    expect(lines).toEqual(failed(1008));
  });

  test("a second time does nothing", () => {
    const { protocol, lines } = record();
    protocol.fail(fault);
    protocol.fail(new ProtocolError(1002, "Another"));
    expect(lines).toEqual(failed(1008));
    expect(protocol.error).toBe(fault);
  });

  test("after the peer's Close or after terminate does nothing", () => {
    for (
      const end of [
        ({ protocol }: Recording) => protocol.receive(close(1000)),
        ({ protocol }: Recording) => protocol.terminate(),
      ]
    ) {
      const recording = record();
      end(recording);
      const said = [...recording.lines];
      recording.protocol.fail(fault);
      expect(recording.lines).toEqual(said);
      expect(recording.protocol.error).toBeUndefined();
    }
  });
});

test("an error of the handler is thrown on, and is no fault of the peer", () => {
  const { protocol, handler, lines } = record();
  handler.onHandedOut = () => {
    throw new TypeError("a fault of the program");
  };
  expect(() => protocol.receive(Buffer.from(text("a")))).toThrow("a fault of the program");
  expect([lines, protocol.state, protocol.error]).toEqual([["text a"], "open", undefined]);
});

test("a chunk that comes after the end is free", () => {
  const { protocol, lines } = record();
  protocol.terminate();
  expect(protocol.receive(Buffer.from(binary("a")))).toBe(true);
  expect(lines).toEqual([]);
});

describe("terminate", () => {
  test("from inside a handler drops the rest of the chunk and sends nothing", () => {
    const { protocol, lines } = doing("text 1", ({ protocol }) => protocol.terminate());
    protocol.receive(chunkOf(text("1"), ping("p"), text("2")));
    protocol.receive(text("3"));
    expect(lines).toEqual(["text 1"]);
    expect(protocol.state).toBe("closed");
    expect(protocol.closeSent).toBeUndefined();
  });

  test("from inside a handler drops the chunks that were kept during a pause", () => {
    const { protocol, lines } = doing("text 1", ({ protocol }) => protocol.terminate());
    protocol.pause();
    protocol.receive(text("1"));
    protocol.receive(text("2"));
    protocol.resume();
    expect(lines).toEqual(["text 1"]);
    expect(protocol.isMidMessage).toBe(false);
  });

  test("in the middle of a message drops the message", () => {
    const { protocol, lines } = record();
    protocol.receive(text("a", more));
    protocol.terminate();
    protocol.receive(continuation("b"));
    protocol.resume();
    expect(lines).toEqual([]);
    expect(protocol.isMidMessage).toBe(false);
  });
});

describe("the getters for the message timer", () => {
  test("isMidMessage is true from a message's first byte to its last", () => {
    const { protocol } = record();
    const steps: [frame: Uint8Array, endsMessage: boolean][] = [
      [text("ab", more), false],
      [ping("p"), false],
      [continuation(""), true],
      [binary("c"), true],
      [text(""), true],
    ];
    expect(protocol.isMidMessage).toBe(false);
    for (const [frame, endsMessage] of steps) {
      const values = Array.from(frame, (octet) => {
        protocol.receive(Buffer.of(octet));
        return protocol.isMidMessage;
      });
      expect(values).toEqual(values.map((_, i) => i < frame.length - 1 || !endsMessage));
    }
  });

  test("isMidMessage is true from a control frame's first byte to its last", () => {
    const { protocol } = record();
    for (const frame of [ping("p"), pong("pp")]) {
      const values = Array.from(frame, (octet) => {
        protocol.receive(Buffer.of(octet));
        return protocol.isMidMessage;
      });
      expect(values).toEqual(values.map((_, i) => i < frame.length - 1));
    }
  });

  test("completedUnits changes with each message, however it comes, and not inside one", () => {
    const wire = [text("a"), text("b", more), ping(), pong(), continuation("c", more), continuation("d"), binary("e")];
    for (const chunkSize of [1, 1000]) {
      const { protocol } = record();
      const counts = wire.map((frame) => {
        for (let at = 0; at < frame.length; at += chunkSize) {
          protocol.receive(Buffer.from(frame.subarray(at, at + chunkSize)));
        }
        return protocol.completedUnits;
      });
      expect(counts).toEqual([1, 1, 1, 1, 1, 2, 3]);
    }
  });

  test("completedUnits also counts a control frame outside of a message", () => {
    const { protocol } = record();
    const [first, second] = [pong("p"), text("a")];
    protocol.receive(Buffer.from(first.subarray(0, 4)));
    expect(protocol.isMidMessage).toBe(true);
    const { completedUnits } = protocol;
    protocol.receive(chunkOf(first.subarray(4), second.subarray(0, 4)));
    expect(protocol.isMidMessage).toBe(true);
    expect(protocol.completedUnits).toBe(completedUnits + 1);
  });
});
