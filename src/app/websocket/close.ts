/** Close codes: the check of the arguments of `close(code, reason)`, and the groups in which closes are counted. */
import { Buffer } from "node:buffer";
import { CloseCode, isValidCloseCode, MAX_REASON_BYTES } from "../../protocol/close.ts";
import { show } from "../common/show.ts";

/**
 * Checks the code and the reason that the application gives for a Close frame, RFC 6455 §7.4. The code 1005 stands for
 * a Close frame without a code.
 *
 * @throws TypeError for a code that is no number or a reason that is no string
 * @throws RangeError for a code that must not be sent, a reason of more than 123 bytes of UTF-8, or a reason with 1005
 */
export function checkClose(code: number, reason: string): void {
  if (typeof code !== "number") throw new TypeError(`A close code is a number; got ${show(code)}`);
  if (code !== CloseCode.NO_STATUS && !(Number.isInteger(code) && isValidCloseCode(code))) {
    throw new RangeError(`A close code is 1000–1003, 1007–1014 or 3000–4999; got ${code}`);
  }
  if (typeof reason !== "string") throw new TypeError(`A close reason is a string; got ${show(reason)}`);
  const byteLength = Buffer.byteLength(reason);
  if (byteLength > MAX_REASON_BYTES) {
    throw new RangeError(`A close reason has at most ${MAX_REASON_BYTES} bytes of UTF-8; got ${byteLength}`);
  }
  if (code === CloseCode.NO_STATUS && reason !== "") throw new RangeError("A Close without a code has no reason");
}

/**
 * The name under which a close is counted: a code below 3000, all of which are registered, for itself, and of the codes
 * of libraries and applications only their range (RFC 6455 §7.4.2). A peer chooses among two thousand of those, and
 * each for itself would let it swell whatever collects the figures.
 */
export function closeGroup(code: number): string {
  return code < 3000 ? String(code) : code < 4000 ? "3000-3999" : "4000-4999";
}
