/**
 * The schema of the JSON that the bench sends, written by hand as a Standard Schema: the bench compares SpaceNode with
 * plain code around the same schema, and no library of schemas with another one.
 */
import type { StandardResult, StandardSchema } from "../../mod.ts";

interface ChatMessage {
  id: string;
  from: string;
  room: string;
  text: string;
  at: number;
  replyTo?: string;
  likes?: number;
}

export interface HistoryPage {
  type: "history";
  page: number;
  note: string;
  messages: ChatMessage[];
}

function isMessage(value: unknown): value is ChatMessage {
  if (typeof value !== "object" || value === null) return false;
  const { id, from, room, text, at, replyTo, likes } = value as Partial<Record<keyof ChatMessage, unknown>>;
  return [id, from, room, text].every((each) => typeof each === "string") && typeof at === "number" &&
    (replyTo === undefined || typeof replyTo === "string") && (likes === undefined || typeof likes === "number");
}

function isPage(value: unknown): value is HistoryPage {
  if (typeof value !== "object" || value === null) return false;
  const { type, page, note, messages } = value as Partial<Record<keyof HistoryPage, unknown>>;
  return type === "history" && typeof page === "number" && typeof note === "string" && Array.isArray(messages) &&
    messages.every(isMessage);
}

export function validate(value: unknown): StandardResult<HistoryPage> {
  return isPage(value) ? { value } : { issues: [{ message: "This is no page of a history" }] };
}

export const historyPage: StandardSchema<HistoryPage> = { "~standard": { version: 1, vendor: "bench", validate } };
