/** The ids by which applications and clients know positions in the history of a topic. */
import type { HistoryPosition } from "../broker.ts";

/** No id is longer: an epoch of 64 characters, a dot, and an offset. */
const ID = /^([\w-]{1,64})\.(\d{1,16})$/;

/** Makes the id of a position. */
export function formatId({ epoch, offset }: HistoryPosition): string {
  return `${epoch}.${offset}`;
}

/**
 * Parses an id, which may come from a client.
 *
 * @returns undefined if the text is no id
 */
export function parseId(id: string): HistoryPosition | undefined {
  const [, epoch, digits] = ID.exec(id) ?? [];
  const offset = Number(digits);
  return epoch === undefined || !Number.isSafeInteger(offset) ? undefined : { epoch, offset };
}
