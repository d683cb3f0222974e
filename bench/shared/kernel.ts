/** The memory of the kernel, which belongs to no process. */
import { readFileSync } from "node:fs";

/** The bytes of all objects of the kernel, such as sockets and open files; undefined on a system without /proc. */
export function kernelBytes(): number | undefined {
  try {
    return slabBytes(readFileSync("/proc/meminfo", "utf8"));
  } catch {
    return undefined;
  }
}

/** @param meminfo the text of /proc/meminfo */
export function slabBytes(meminfo: string): number | undefined {
  const kib = /^Slab: +(\d+) kB$/m.exec(meminfo)?.[1];
  return kib === undefined ? undefined : Number(kib) * 1024;
}
