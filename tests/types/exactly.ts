/**
 * Equality of types, for type tests: `exactly<Equal<typeof value, Expected>>()` does not compile when the types differ,
 * even if one of them is `any`.
 */

/** `true` when the two types are the same. */
export type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2) ? true : false;

/** Compiles only when its type argument is `true`. */
export function exactly<_Same extends true>(): void {}
