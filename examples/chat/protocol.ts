/**
 * The messages of the chat: one JSON object in each text message. Every message of a client passes through
 * `readClientMessage`, so the rest of the chat only gets well-formed messages.
 */

import type { TopicMessage, TopicNotice } from "../../mod.ts";

export const LIMITS = {
  nameLength: 32,
  roomLength: 32,
  textLength: 2_000,
  /** This is enough for the longest text, even if JSON escapes every character. */
  messageBytes: 16 * 1024,
} as const;

/** Close codes of this chat, from the range that RFC 6455 §7.4.2 leaves to applications. */
export const CLOSE = { replaced: 4001, full: 4003, badRoom: 4004, noHello: 4008 } as const;

export interface Person {
  id: string;
  name: string;
}

export interface Message {
  id: string;
  from: Person;
  text: string;
  /** Milliseconds since 1970, by the server's clock. */
  at: number;
}

export interface RoomSummary {
  name: string;
  people: number;
}

export type ClientMessage =
  /**
   * The first message. A person who comes back with the same key takes the place of the lost connection, and gets what
   * was said behind the position `since`.
   */
  | { type: "hello"; name: string; key: string; since?: string }
  /** The client chooses the id, so that a message sent again after a reconnect is not said twice. */
  | { type: "say"; id: string; text: string }
  | { type: "rename"; name: string }
  | { type: "typing"; on: boolean };

/** The reply to a hello. */
export interface Welcome {
  type: "welcome";
  room: string;
  you: Person;
  people: Person[];
  rooms: RoomSummary[];
  /** What was said behind the position of the client. When that is not known, the last messages of the room. */
  history: Message[];
  /** True if no message is missing between the position of the client and `history`. */
  recovered: boolean;
  position: string;
}

export type ServerMessage =
  | Welcome
  | { type: "joined"; person: Person; at: number }
  | { type: "left"; person: Person; at: number }
  | { type: "renamed"; person: Person; before: string; at: number }
  /** A message that is sent again to its author alone has no position. */
  | { type: "message"; message: Message; position?: string }
  /** The position behind which messages follow. When `recovered` is false, some before it are lost to the client. */
  | { type: "position"; position: string; recovered: boolean }
  | { type: "typing"; person: Person; on: boolean }
  | { type: "rooms"; rooms: RoomSummary[] }
  | { type: "error"; code: ErrorCode; message: string; id?: string; retryAfterMs?: number };

export type ErrorCode = "bad-message" | "bad-name" | "bad-room" | "bad-text" | "full" | "slow-down";

/**
 * Puts what the followers of a room's topic get into the words of this protocol. The messages of the topic are those of
 * `Message`, as JSON.
 */
export function toServerMessage(content: TopicMessage | TopicNotice): string {
  const { id: position } = content;
  const message: ServerMessage = "recovered" in content
    ? { type: "position", position, recovered: content.recovered }
    : { type: "message", message: JSON.parse(String(content.data)), position };
  return JSON.stringify(message);
}

/** An error of the client that the server reports to the client in plain words. */
export class ChatError extends Error {
  readonly code: ErrorCode;
  readonly details: { id?: string; retryAfterMs?: number };

  constructor(code: ErrorCode, message: string, details: { id?: string; retryAfterMs?: number } = {}) {
    super(message);
    this.code = code;
    this.details = details;
  }

  toMessage(): ServerMessage {
    return { type: "error", code: this.code, message: this.message, ...this.details };
  }
}

const FIELDS = new Map<unknown, Record<string, "string" | "boolean">>([
  ["hello", { name: "string", key: "string", since: "string" }],
  ["say", { id: "string", text: "string" }],
  ["rename", { name: "string" }],
  ["typing", { on: "boolean" }],
]);
const OPTIONAL_FIELDS: ReadonlySet<string> = new Set(["since"]);

export function readClientMessage(json: string): ClientMessage {
  const message = parseObject(json);
  const fields = FIELDS.get(message.type);
  if (!fields) {
    throw new ChatError("bad-message", `Set "type" to one of: ${[...FIELDS.keys()].join(", ")}.`);
  }
  for (const [field, type] of Object.entries(fields)) {
    const given = typeof message[field];
    if (given === "undefined" && OPTIONAL_FIELDS.has(field)) continue;
    if (given !== type) {
      throw new ChatError("bad-message", `"${message.type}" needs a field "${field}" that is a ${type}.`);
    }
  }
  for (const field of Object.keys(message)) {
    if (field !== "type" && !Object.hasOwn(fields, field)) {
      throw new ChatError("bad-message", `"${message.type}" has no field ${JSON.stringify(field.slice(0, 40))}.`);
    }
  }
  return check(message as ClientMessage);
}

function parseObject(json: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    throw new ChatError("bad-message", "A message must be JSON.");
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new ChatError("bad-message", "A message must be a JSON object.");
  }
  return value as Record<string, unknown>;
}

function check(message: ClientMessage): ClientMessage {
  switch (message.type) {
    case "hello":
      return { ...message, name: cleanName(message.name), key: cleanToken(message.key, "key") };
    case "rename":
      return { ...message, name: cleanName(message.name) };
    case "say": {
      const id = cleanToken(message.id, "id");
      return { ...message, id, text: cleanText(message.text, id) };
    }
    default:
      return message;
  }
}

// A name stands in the middle of other people's sentences. So it has no control characters, no line breaks, and no
// marks that turn the direction of the text behind them.
const UNFIT_FOR_NAMES = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\u202A-\u202E\u2066-\u2069]/u;
const VISIBLE = /[\p{L}\p{N}\p{P}\p{S}]/u;

function cleanName(name: string): string {
  const clean = name.normalize("NFC").replace(/ +/g, " ").trim();
  if (!VISIBLE.test(clean)) throw new ChatError("bad-name", "Please choose a name that can be seen.");
  if (UNFIT_FOR_NAMES.test(clean)) throw new ChatError("bad-name", "A name cannot hold control characters.");
  if (clean.length > LIMITS.nameLength) {
    throw new ChatError("bad-name", `A name can have ${LIMITS.nameLength} characters; this one has ${clean.length}.`);
  }
  return clean;
}

function cleanText(text: string, id: string): string {
  const clean = text.trim();
  if (clean === "") throw new ChatError("bad-text", "There is nothing in this message.", { id });
  if (clean.length > LIMITS.textLength) {
    const limit = LIMITS.textLength.toLocaleString("en");
    const length = clean.length.toLocaleString("en");
    throw new ChatError("bad-text", `A message can have ${limit} characters; this one has ${length}.`, { id });
  }
  return clean;
}

function cleanToken(token: string, field: string): string {
  if (!/^[\w-]{16,64}$/.test(token)) {
    throw new ChatError("bad-message", `"${field}" must be 16 to 64 letters, digits, "-" or "_".`);
  }
  return token;
}

/** Checks the name of a room: small letters and digits of any script, with "-" and "_" behind the first. */
export function checkRoomName(name: string): string {
  if (
    name.length > LIMITS.roomLength || name !== name.toLowerCase() || !/^[\p{L}\p{N}][\p{L}\p{M}\p{N}_-]*$/u.test(name)
  ) {
    const rule = `1 to ${LIMITS.roomLength} small letters, digits, "-" and "_"`;
    throw new ChatError("bad-room", `A room's name is ${rule}.`);
  }
  return name;
}
