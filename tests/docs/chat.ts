/** A small chat as its clients see it. The pages that compare libraries have this chat in each of them. */
import { io } from "socket.io-client";
import { expect, onTestFinished } from "vitest";
import { Mailbox } from "../interop/mailbox.ts";

/** Somebody in a room. */
interface Member {
  say(text: string): void;
  /** The next text that the member hears. */
  hear(): Promise<string>;
  leave(): void;
}

/** Joins a room. Rejects when the server refuses. */
type Join = (port: number, room: string, cookie: string) => Promise<Member>;

/** Joins with the WebSocket of the test's runtime, which is that of browsers, and takes headers besides. */
export const joinByWebSocket: Join = (port, room, cookie) => {
  const headers = { Cookie: cookie };
  // deno-lint-ignore no-explicit-any
  const socket = new WebSocket(`ws://127.0.0.1:${port}/rooms/${room}`, { headers } as any);
  const texts = new Mailbox<string>();
  const { promise, resolve, reject } = Promise.withResolvers<Member>();
  socket.onopen = () =>
    resolve({ say: (text) => socket.send(text), hear: () => texts.next(), leave: () => socket.close() });
  socket.onmessage = ({ data }) => texts.put(String(data));
  socket.onerror = () => reject(new Error("refused"));
  socket.onclose = () => texts.end(new Error("the connection has ended"));
  onTestFinished(() => socket.close());
  return promise;
};

/** Joins with the client of Socket.IO. */
export const joinBySocketIo: Join = (port, room, cookie) => {
  const socket = io(`http://127.0.0.1:${port}`, {
    query: { room },
    extraHeaders: { Cookie: cookie },
    reconnection: false,
    forceNew: true,
  });
  const texts = new Mailbox<string>();
  const { promise, resolve, reject } = Promise.withResolvers<Member>();
  socket.on("connect", () =>
    resolve({
      say: (text) => socket.emit("chat", text),
      hear: () => texts.next(),
      leave: () => socket.disconnect(),
    }));
  socket.on("chat", (text) => texts.put(text));
  socket.on("connect_error", () => reject(new Error("refused")));
  onTestFinished(() => void socket.disconnect());
  return promise;
};

/** Ada and Bob talk in one room, and Ada also sits in another. */
export async function chats(port: number, join: Join = joinByWebSocket): Promise<void> {
  const response = await fetch(`http://127.0.0.1:${port}/health`, { headers: { Connection: "close" } });
  expect([response.status, await response.text()]).toEqual([200, "ok"]);
  await expect(join(port, "tea", "session=0000")).rejects.toThrow("refused");

  const alone = await join(port, "coffee", "session=7f3a");
  const ada = await join(port, "tea", "session=7f3a");
  await says("Ada: I am here", [ada]);
  const bob = await join(port, "tea", "session=81c2");
  await says("Bob: I am here", [bob, ada]);
  await says("Ada: hello", [ada, bob]);
  bob.leave();
  expect(await ada.hear()).toBe("Bob has left");
  await says("Ada: bye", [ada]);
  // The other room has heard nothing of this.
  await says("Ada: Is anybody here?", [alone]);
}

/** The first member says something, and all hear it with the name. */
async function says(heard: string, members: readonly Member[]): Promise<void> {
  members[0]!.say(heard.slice(heard.indexOf(" ") + 1));
  for (const member of members) expect(await member.hear()).toBe(heard);
}
