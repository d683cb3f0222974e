/** The handler of one connection, from the client's hello to the close. */

import type { AppRequest, Socket } from "../../mod.ts";
import { ChatError, checkRoomName, CLOSE, readClientMessage } from "./protocol.ts";
import type { ClientMessage, ServerMessage } from "./protocol.ts";
import type { Member, Rooms } from "./rooms.ts";
import { TokenBucket } from "./token-bucket.ts";

const HELLO_TIMEOUT_MS = 10_000;
const BURST = 20;
const MESSAGES_PER_SECOND = 5;
/**
 * A client that uses up this many refusals, and gets more than one a second from then on, is not a person who types:
 * its connection is closed.
 */
const PATIENCE = 100;

export function receiveVisitor(socket: Socket, req: AppRequest, services: { rooms: Rooms }): void {
  const { rooms } = services;
  const bucket = new TokenBucket(BURST, MESSAGES_PER_SECOND);
  const helloTimer = setTimeout(() => socket.close(CLOSE.noHello, "Nobody said hello."), HELLO_TIMEOUT_MS);
  const patience = new TokenBucket(PATIENCE, 1);
  let member: Member | undefined;

  socket.on("message", (data, isBinary) => {
    if (socket.readyState !== 1) return; // Messages that come during the closing handshake are ignored.
    try {
      if (isBinary) throw new ChatError("bad-message", "A message must be text.");
      const retryAfterMs = bucket.take();
      const message = readClientMessage(data as string);
      if (retryAfterMs > 0) throw tooFast(message, retryAfterMs);
      return obey(message);
    } catch (error) {
      refuse(error);
    }
  });
  socket.on("close", () => {
    clearTimeout(helloTimer);
    if (member) rooms.leave(member);
  });

  function obey(message: ClientMessage): void | Promise<void> {
    if (!member) {
      if (message.type !== "hello") throw new ChatError("bad-message", 'The first message must be a "hello".');
      clearTimeout(helloTimer);
      member = rooms.enter(checkRoomName(req.params.room), socket, message.key, message.name);
      return greet(member, message.since);
    }
    switch (message.type) {
      case "hello":
        throw new ChatError("bad-message", "You said hello before.");
      case "say":
        return member.room.say(member, message.id, message.text);
      case "rename":
        return member.room.rename(member, message.name);
      case "typing":
        return member.room.broadcast({ type: "typing", person: member.person, on: message.on }, member);
    }
  }

  /** Sends what a client lacks, and from then on what is said. */
  async function greet(newcomer: Member, since: string | undefined): Promise<void> {
    const { room } = newcomer;
    const said = await room.read(since);
    newcomer.isWelcome = true;
    const people = [...room.members].map((other) => other.person);
    reply({ type: "welcome", room: room.name, you: newcomer.person, people, rooms: rooms.list(), ...said });
    await socket.follow(room.topic, { since: said.position });
  }

  function refuse(error: unknown): void {
    if (!(error instanceof ChatError)) throw error;
    reply(error.toMessage());
    if (error.code === "bad-room") socket.close(CLOSE.badRoom, error.message);
    if (error.code === "full") socket.close(CLOSE.full, error.message);
    if (patience.take() > 0) socket.close(1008, "Too many messages were refused.");
  }

  function reply(message: ServerMessage): void {
    socket.send(JSON.stringify(message));
  }
}

function tooFast(message: ClientMessage, retryAfterMs: number): ChatError {
  const details = message.type === "say" ? { id: message.id, retryAfterMs } : { retryAfterMs };
  return new ChatError("slow-down", "That was a lot at once. Please slow down a little.", details);
}
