/** Type equality for type tests: `exactly<Equal<typeof value, Expected>>()` does not compile when they differ, also where one is `any`. */

export type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2) ? true : false;

export function exactly<_Same extends true>(): void {}
