/** Runs tables of cases against an echo server. Each case is sent in one write, frame by frame, and octet by octet. */

import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import type { EchoServer } from "./echo-server.ts";
import { close, opcodes, type ServerFrame } from "./frames.ts";
import type { RawClient } from "./raw-client.ts";

export interface Case {
  name: string;
  /** The bytes to send: each element is a frame or a part of one. */
  sends: readonly Uint8Array[];
  /** The frames that the server must send before its Close, as lines that `says` makes. */
  answers?: readonly string[];
  /** The close code with which the server must fail the connection. */
  fault?: number;
  /**
   * The Close that the server must report, for cases that send one. Without this and `fault`, the connection must stay
   * open.
   */
  closed?: { code: number; reason: string };
}

/** A message or a control frame of the server as a line of text. A long payload is shown by its digest. */
export const says = {
  text: (payload: string | Uint8Array): string => line("text", Buffer.from(payload)),
  binary: (payload: string | Uint8Array): string => line("binary", Buffer.from(payload)),
  pong: (payload: string | Uint8Array = ""): string => line("pong", Buffer.from(payload)),
  close: (code: number): string => `close ${code}`,
};

/** Cases with more bytes than this are not sent octet by octet. */
const octetLimit = 400;

/** Tests every case of the table, in all three ways if its size allows. */
export function runCases(title: string, server: EchoServer, cases: readonly Case[]): void {
  describe(title, () => {
    describe.each(cases.map((each) => [each.name, each] as const))("%s", (_name, each) => {
      const bytes = Buffer.concat(closing(each));
      test("whole", () => runCase(server, each, (client) => client.send(bytes)));
      if (each.sends.length > 1) {
        test("in frames", () => runCase(server, each, (client) => client.sendApart(closing(each))));
      }
      if (bytes.length <= octetLimit) {
        test("octet by octet", () => runCase(server, each, (client) => client.sendOctets(bytes)));
      }
    });
  });
}

async function runCase(
  server: EchoServer,
  each: Case,
  send: (client: RawClient) => void | Promise<void>,
): Promise<void> {
  const { client, report, reported } = await server.connect();
  await send(client);
  const { ended } = await client.closed();
  const { fault, closed = { code: 1000, reason: "" } } = each;
  expect(transcript(client.frames)).toEqual([...(each.answers ?? []), says.close(fault ?? closed.code)]);
  expect(ended).toBe("fin");
  await reported;
  expect(report.closes).toEqual(
    fault ? [{ code: fault, reason: expect.any(String), wasClean: false }] : [{ ...closed, wasClean: true }],
  );
  expect(report.errors).toHaveLength(fault ? 1 : 0);
}

/**
 * The bytes of a case. A case with neither a fault nor a Close of its own gets a Close, since it must leave the
 * connection open.
 */
function closing({ sends, fault, closed }: Case): readonly Uint8Array[] {
  return fault || closed ? sends : [...sends, close(1000)];
}

/** The frames of the server as lines, with the fragments of a message joined. */
export function transcript(frames: readonly ServerFrame[]): string[] {
  const lines: string[] = [];
  let fragments: ServerFrame[] = [];
  for (const frame of frames) {
    if (frame.opcode === opcodes.close) {
      lines.push(says.close(frame.payload.length === 0 ? 1005 : frame.payload.readUInt16BE(0)));
    } else if (frame.opcode > opcodes.close) {
      lines.push(line(frame.opcode === opcodes.pong ? "pong" : "ping", frame.payload));
    } else {
      fragments.push(frame);
      if (!frame.fin) continue;
      const kind = fragments[0].opcode === opcodes.text ? "text" : "binary";
      lines.push(line(kind, Buffer.concat(fragments.map(({ payload }) => payload))));
      fragments = [];
    }
  }
  return lines;
}

function line(kind: string, payload: Uint8Array): string {
  const bytes = Buffer.from(payload);
  if (bytes.length <= 64) return `${kind} ${bytes.toString("hex")}`;
  return `${kind} of ${bytes.length} bytes, sha1 ${createHash("sha1").update(bytes).digest("hex")}`;
}
