/** All state of the chat, in memory and bounded: the people in each room, and a topic with its last messages. */

import { createHash } from "node:crypto";
import type { App, HistoryOptions, Socket } from "../../mod.ts";
import { ChatError, CLOSE, LIMITS, toServerMessage } from "./protocol.ts";
import type { Message, Person, RoomSummary, ServerMessage, Welcome } from "./protocol.ts";

export const MAX_ROOMS = 100;
const MAX_MEMBERS = 100;
const MAX_HISTORY = 50;
/** The history of the topic of each room. */
export const HISTORY: HistoryOptions = { size: MAX_HISTORY, maxAgeMs: 24 * 60 * 60 * 1000, frame: toServerMessage };
const MAX_LISTED = 30;
const ANNOUNCE_EVERY_MS = 250;

export interface Member {
  person: Person;
  readonly room: Room;
  readonly socket: Pick<Socket, "send" | "close" | "readyState">;
  /** False until the welcome is sent, which tells all that has happened before it. */
  isWelcome: boolean;
}

/** What the rooms need of the app. */
export type Topics = Pick<App, "publish" | "history">;

export class Room {
  readonly name: string;
  /** The topic in which everything is that was said. Its followers get each message once, also after an absence. */
  readonly topic: string;
  readonly members: Set<Member> = new Set();
  readonly #topics: Topics;
  /** The last messages, by their ids. */
  readonly #said = new Map<string, Message>();

  constructor(name: string, topics: Topics) {
    this.name = name;
    this.topic = `room/${name}`;
    this.#topics = topics;
  }

  /** Sends what is of no use later: who comes, who goes, who types. */
  broadcast(message: ServerMessage, except?: Member): void {
    const json = JSON.stringify(message);
    for (const member of this.members) {
      if (member !== except && member.isWelcome && member.socket.readyState === 1) member.socket.send(json);
    }
  }

  say(from: Member, id: string, text: string): void {
    const said = this.#said.get(id);
    if (said) {
      // The client has sent the message again, because its connection was lost before the echo came. Only this client
      // needs the echo.
      from.socket.send(JSON.stringify({ type: "message", message: said } satisfies ServerMessage));
      return;
    }
    const message: Message = { id, from: from.person, text, at: Date.now() };
    this.#said.set(id, message);
    if (this.#said.size > MAX_HISTORY) this.#said.delete(this.#said.keys().next().value!);
    this.#topics.publish(this.topic, JSON.stringify(message));
  }

  /** Reads what was said behind a position, or all that is kept when that is not known any more. */
  async read(since = ""): Promise<Pick<Welcome, "history" | "recovered" | "position">> {
    const missed = await this.#topics.history(this.topic, { since, limit: MAX_HISTORY });
    const { messages, id } = missed.recovered
      ? missed
      : await this.#topics.history(this.topic, { since: "", limit: MAX_HISTORY });
    const history: Message[] = messages.map(({ data }) => JSON.parse(String(data)));
    return { history, recovered: missed.recovered, position: id };
  }

  rename(member: Member, wanted: string): void {
    const before = member.person.name;
    const name = this.#freeName(wanted, member);
    member.person = { id: member.person.id, name };
    this.broadcast({ type: "renamed", person: member.person, before, at: Date.now() });
  }

  /** Lets a person in. A person who is here already gets the new connection, and the old connection is closed. */
  enter(socket: Member["socket"], key: string, wanted: string): Member {
    const id = createHash("sha256").update(key).digest("hex").slice(0, 16);
    const old = [...this.members].find((member) => member.person.id === id);
    if (!old && this.members.size >= MAX_MEMBERS) {
      throw new ChatError("full", `This room is full: it holds ${MAX_MEMBERS} people.`);
    }
    const member: Member = { person: { id, name: this.#freeName(wanted, old) }, room: this, socket, isWelcome: false };
    this.members.add(member);
    if (old) {
      this.members.delete(old);
      old.socket.close(CLOSE.replaced, "This person connected again.");
    }
    const at = Date.now();
    if (!old) this.broadcast({ type: "joined", person: member.person, at }, member);
    else if (old.person.name !== member.person.name) {
      this.broadcast({ type: "renamed", person: member.person, before: old.person.name, at }, member);
    }
    return member;
  }

  #freeName(wanted: string, self: Member | undefined): string {
    const taken = new Set<string>();
    for (const member of this.members) {
      if (member !== self) taken.add(fold(member.person.name));
    }
    let name = wanted;
    for (let number = 2; taken.has(fold(name)); number++) {
      const suffix = ` ${number}`;
      name = wanted.slice(0, LIMITS.nameLength - suffix.length) + suffix;
    }
    return name;
  }
}

export class Rooms {
  readonly #topics: Topics;
  readonly #rooms: Map<string, Room> = new Map();
  #announcement: ReturnType<typeof setTimeout> | undefined;

  constructor(topics: Topics) {
    this.#topics = topics;
  }

  enter(roomName: string, socket: Member["socket"], key: string, wanted: string): Member {
    const room = this.#rooms.get(roomName) ?? this.#create(roomName);
    const member = room.enter(socket, key, wanted);
    this.#announceSoon();
    return member;
  }

  leave(member: Member): void {
    const { room, person } = member;
    if (!room.members.delete(member)) return;
    room.broadcast({ type: "left", person, at: Date.now() });
    if (room.members.size === 0) {
      // An empty room stays for people who come back. The room that is empty for longest is first in the map.
      this.#rooms.delete(room.name);
      this.#rooms.set(room.name, room);
    }
    this.#announceSoon();
  }

  list(): RoomSummary[] {
    const lively = [...this.#rooms.values()].filter((room) => room.members.size > 0);
    const summaries = lively.map((room) => ({ name: room.name, people: room.members.size }));
    return summaries.sort((a, b) => b.people - a.people || a.name.localeCompare(b.name)).slice(0, MAX_LISTED);
  }

  #create(name: string): Room {
    if (this.#rooms.size >= MAX_ROOMS) {
      const empty = [...this.#rooms.values()].find((room) => room.members.size === 0);
      if (!empty) throw new ChatError("full", `There are ${MAX_ROOMS} rooms already. Please join one of them.`);
      this.#rooms.delete(empty.name);
    }
    const room = new Room(name, this.#topics);
    this.#rooms.set(name, room);
    return room;
  }

  /** Sends everybody the list of rooms with people, four times a second at most, however many people come and go. */
  #announceSoon(): void {
    this.#announcement ??= setTimeout(() => {
      this.#announcement = undefined;
      const rooms = this.list();
      for (const room of this.#rooms.values()) room.broadcast({ type: "rooms", rooms });
    }, ANNOUNCE_EVERY_MS);
  }
}

/** Names that look alike count as the same name. */
function fold(name: string): string {
  return name.normalize("NFKC").toLowerCase();
}
