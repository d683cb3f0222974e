/** How copies lie in memory. */
import { vi } from "vitest";

const PAGE_BYTES = 4 * 1024;

/**
 * How many bytes further in its page each copy of a page or more begins than its original, while `run` copies bytes
 * by `set`. Both memories are taken to begin at the start of a page, as large ones do.
 */
export function pageShifts(run: () => void): number[] {
  const shifts: number[] = [];
  const typedArray = Object.getPrototypeOf(Uint8Array.prototype) as Uint8Array;
  const { set } = typedArray;
  const spy = vi.spyOn(typedArray, "set").mockImplementation(function (this: Uint8Array, source, at = 0) {
    if (source instanceof Uint8Array && source.length >= PAGE_BYTES) {
      const further = this.byteOffset + at - source.byteOffset;
      shifts.push((further % PAGE_BYTES + PAGE_BYTES) % PAGE_BYTES);
    }
    return set.call(this, source, at);
  });
  try {
    run();
  } finally {
    spy.mockRestore();
  }
  return shifts;
}

/** True for a copy that takes up to twenty times as long as others on some processors. */
export function isSlow(shift: number): boolean {
  return shift > 0 && shift < 32;
}
