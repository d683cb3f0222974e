/** The ids by which applications and clients know positions in the history of a topic. */
import type { HistoryPage, HistoryPosition } from "../broker.ts";

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

/**
 * Parses what a client wants to go on behind: an id, or an empty text for the place before the oldest message.
 *
 * @returns the position, which is undefined for that place; undefined if the text is no id
 */
export function parseSince(since: string): { readonly after: HistoryPosition | undefined } | undefined {
  const after = since === "" ? undefined : parseId(since);
  return since === "" || after !== undefined ? { after } : undefined;
}

/** The offset, in the epoch of a complete page, of the position behind which the page was read. */
export function offsetBefore({ epoch, oldest }: HistoryPage, after: HistoryPosition | undefined): number {
  if (after === undefined) return oldest - 1;
  // A position of another epoch is the place before the first message.
  return after.epoch === epoch ? after.offset : 0;
}
