import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import type { Socket as RawSocket } from "node:net";
import { describe, expect, test } from "vitest";
import { HandshakeError } from "../../src/protocol/errors.ts";
import { asksForWebSocket, HandshakeAttempt, type HandshakeClaims } from "../../src/transport/handshake-attempt.ts";
import { upgradeServer } from "../support/app.ts";
import { headerOf, rawRequest, statusOf, upgradeRequest } from "../support/raw-client.ts";

const OFFER = { key: "dGhlIHNhbXBsZSBub25jZQ==", subprotocols: [], extensions: [] };

/** A guard that writes down its calls. */
class Claims implements HandshakeClaims {
  readonly calls: string[] = [];
  isTaken = false;

  isTakenByOther(): boolean {
    return this.isTaken;
  }

  claim(): boolean {
    this.calls.push("claim");
    return !this.isTaken;
  }

  unwatch(): void {
    this.calls.push("unwatch");
  }
}

interface Outcome<Result> {
  readonly response: string;
  readonly result: Result;
  readonly calls: string[];
}

/** Sends a handshake, does something with the attempt for it, and gives the client's response when that is over. */
async function attempt<Result>(
  act: (attempt: HandshakeAttempt, raw: RawSocket, claims: Claims) => Result | Promise<Result>,
): Promise<Outcome<Result>> {
  const claims = new Claims();
  const acted = Promise.withResolvers<Result>();
  const { port } = await upgradeServer((raw, message, head) => {
    const handshake = new HandshakeAttempt(message, raw, head, claims);
    acted.resolve((async () => await act(handshake, raw, claims))());
  });
  const response = await rawRequest(port, upgradeRequest());
  return { response, result: await acted.promise, calls: claims.calls };
}

test.each([
  ["websocket", true],
  ["WebSocket", true],
  ["h2c, websocket", true],
  ["h2c", false],
  ["TLS/1.2", false],
  ["websockets", false],
  ["websocket/13", false],
  ["", false],
  // The runtime may have dropped the header behind many others.
  [undefined, true],
])("a request with the Upgrade header %o asks for a WebSocket: %o", (upgrade, expected) => {
  expect(asksForWebSocket({ headers: { upgrade } } as IncomingMessage)).toBe(expected);
});

describe("a handshake", () => {
  test("that is accepted gets a 101, is claimed before and no longer watched afterwards", async () => {
    const { response, result, calls } = await attempt((handshake, raw) => {
      const couldAccept = handshake.canAccept;
      handshake.accept(OFFER, { subprotocol: "chat" });
      raw.end();
      return couldAccept;
    });
    expect([result, statusOf(response)]).toEqual([true, 101]);
    expect(headerOf(response, "Sec-WebSocket-Protocol")).toBe("chat");
    expect(calls).toEqual(["claim", "unwatch"]);
  });

  test("whose 101 would have a bad header is not accepted, and can still be refused", async () => {
    const { response, result } = await attempt((handshake) => {
      expect(() => handshake.accept(OFFER, { headers: [["X", "a\r\nb"]] })).toThrow(TypeError);
      return handshake.refuse(new HandshakeError(500, "Sorry"));
    });
    expect([result, statusOf(response)]).toEqual([true, 500]);
  });

  test("that is refused gets the status, the message and the headers of the error", async () => {
    const { response, result, calls } = await attempt((handshake) =>
      handshake.refuse(new HandshakeError(426, "Use 13", { "Sec-WebSocket-Version": "13" }))
    );
    expect([result, statusOf(response)]).toEqual([true, 426]);
    expect(headerOf(response, "Sec-WebSocket-Version")).toBe("13");
    expect(response.endsWith("Use 13\n")).toBe(true);
    expect(calls).toEqual(["claim"]);
  });

  test("may get a whole HTTP response", async () => {
    const { response, result } = await attempt((handshake) =>
      handshake.respond(403, new TextEncoder().encode("{}"), [["Content-Type", "application/json"]])
    );
    expect([result, statusOf(response)]).toEqual([true, 403]);
    expect(headerOf(response, "Content-Type")).toBe("application/json");
    expect(response.endsWith("\r\n\r\n{}")).toBe(true);
  });
});

describe("nothing is written", () => {
  test("when another listener has responded, which is left alone", async () => {
    const { response, result } = await attempt((handshake, raw, claims) => {
      claims.isTaken = true;
      const results = [
        handshake.canAccept,
        handshake.refuse(new HandshakeError(403, "No")),
        handshake.respond(403, new Uint8Array(0), []),
      ];
      handshake.abandon();
      results.push(raw.destroyed);
      raw.end("from the other listener");
      return results;
    });
    expect(result).toEqual([false, false, false, false]);
    expect(response).toBe("from the other listener");
  });

  test("when the connection is gone", async () => {
    const { response, result } = await attempt((handshake, raw) => {
      raw.destroy();
      return [handshake.canAccept, handshake.refuse(new HandshakeError(403, "No"))];
    });
    expect([response, result]).toEqual(["", [false, false]]);
  });

  test("when the attempt is abandoned, which cuts the connection", async () => {
    const { response, result } = await attempt(async (handshake, raw) => {
      handshake.abandon();
      await once(raw, "close");
      return handshake.canAccept;
    });
    expect([response, result]).toEqual(["", false]);
  });

  test("behind a response that has been written already, and which still goes out", async () => {
    const { response, result } = await attempt((handshake, raw) => {
      raw.end("HTTP/1.1 408 Request Timeout\r\n\r\n");
      handshake.abandon();
      return [handshake.refuse(new HandshakeError(403, "No")), raw.destroyed];
    });
    expect(result).toEqual([false, false]);
    expect(statusOf(response)).toBe(408);
  });
});

test("a handshake whose client has ended its side cannot be accepted any more", async () => {
  const { result } = await attempt(async (handshake, raw) => {
    const before = handshake.canAccept;
    raw.push(null);
    raw.resume();
    await once(raw, "end");
    const after = handshake.canAccept;
    raw.destroy();
    return [before, after];
  });
  expect(result).toEqual([true, false]);
});
