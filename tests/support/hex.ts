/** Bytes from hexadecimal digits. Spaces between the digits have no meaning. */
export function hex(text: string): Buffer<ArrayBuffer> {
  const digits = text.replaceAll(" ", "");
  if (!/^([0-9a-f]{2})*$/i.test(digits)) throw new TypeError(`Not hexadecimal: "${text}"`);
  return Buffer.from(digits, "hex");
}
