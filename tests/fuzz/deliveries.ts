/** Random deliveries of bytes. */

import fc from "fast-check";
import type { Delivery } from "./engine.ts";

export const delivery: fc.Arbitrary<Delivery> = fc.record({
  cuts: fc.oneof(
    { weight: 12, arbitrary: fc.array(fc.nat(), { maxLength: 8 }) },
    { weight: 1, arbitrary: fc.constant(undefined) },
  ),
  pauses: fc.oneof({ weight: 2, arbitrary: fc.constant(0) }, fc.integer()),
  turns: fc.oneof({ weight: 2, arbitrary: fc.constant(0) }, fc.integer()),
  isAlone: fc.boolean(),
  resumesEarly: fc.boolean(),
});
