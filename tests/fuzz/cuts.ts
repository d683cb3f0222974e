/** Cuts bytes at any positions, which are taken modulo the length. */
export function cutAt(bytes: Buffer, positions: readonly number[]): Buffer[] {
  const bounds = positions.map((at) => at % (bytes.length + 1)).sort((a, b) => a - b);
  return [0, ...bounds].map((start, index) => bytes.subarray(start, bounds[index] ?? bytes.length));
}
