/** Runs tables of wire cases against an echo server: each case whole, in frames, and octet by octet. */

import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import type { EchoServer } from "./echo-server.ts";
import { close, opcodes, type ServerFrame } from "./frames.ts";
import type { RawClient } from "./raw-client.ts";

export interface Case {
  name: string;
  /** One element a frame, or a part of one. */
  sends: readonly Uint8Array[];
  /** What the server must say before the end, each as `says.…` writes it. */
  answers?: readonly string[];
  /** The code of the protocol fault the server must find. */
  fault?: number;
  /** The Close the server must report, for cases that send one. Without this and `fault`, the connection must still be open. */
  closed?: { code: number; reason: string };
}

/** One answer of the server as a line of text; long payloads are shown by their digest. */
export const says = {
  text: (payload: string | Uint8Array): string => line("text", Buffer.from(payload)),
  binary: (payload: string | Uint8Array): string => line("binary", Buffer.from(payload)),
  pong: (payload: string | Uint8Array = ""): string => line("pong", Buffer.from(payload)),
  close: (code: number): string => `close ${code}`,
};

/** Above this many bytes a case is not sent octet by octet. */
const octetLimit = 400;

/** Tests every case of the table, three ways where its size allows. */
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

/** A case that ends neither in a fault nor in its own Close must have left the connection open: close it now. */
function closing({ sends, fault, closed }: Case): readonly Uint8Array[] {
  return fault || closed ? sends : [...sends, close(1000)];
}

/** The server's frames as lines, fragments joined. */
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
