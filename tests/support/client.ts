/** Clients of `spacenode/client` over fake connections, and what they tell. */

import { onTestFinished, vi } from "vitest";
import {
  type ClientOptions,
  type ClientUrl,
  connect,
  type ReconnectingSocket,
  type ReconnectingSocketEvents,
} from "../../src/client/client.ts";
import { type FakeNetwork, fakeNetwork } from "./fake-websocket.ts";

const TYPES = ["open", "message", "close", "retry", "gap"] as const;
const DETAILS = ["data", "topic", "id", "code", "reason", "delayMs", "attempt", "error"];

/** An event, without what every event has. */
export type Told = { type: keyof ReconnectingSocketEvents } & Record<string, unknown>;

/** Records the events of a socket, in order. */
export function recordEvents(socket: ReconnectingSocket): Told[] {
  const told: Told[] = [];
  for (const type of TYPES) {
    socket.addEventListener(type, (event) => {
      const details = DETAILS.filter((name) => name in event).map((name) => [name, event[name as keyof Event]]);
      told.push({ type, ...Object.fromEntries(details) });
    });
  }
  return told;
}

/** A client over fake connections, and the events that it has emitted so far. */
export interface FakeClient extends FakeNetwork {
  readonly socket: ReconnectingSocket;
  readonly told: Told[];
}

/** Makes a client whose first attempt has begun. The test has to fake the timers. */
export async function fakeClient(
  options: ClientOptions = {},
  url: ClientUrl | (() => ClientUrl | Promise<ClientUrl>) = "ws://server/",
): Promise<FakeClient> {
  const network = fakeNetwork();
  const socket = connect(url, { WebSocket: network.WebSocket, ...options });
  onTestFinished(() => socket.close());
  const told = recordEvents(socket);
  await settle();
  return {
    socket,
    told,
    WebSocket: network.WebSocket,
    made: network.made,
    get newest() {
      return network.newest;
    },
  };
}

/** Lets the pause that was told last pass, and no more, and returns its length. */
export async function passPause({ told }: Pick<FakeClient, "told">): Promise<number> {
  const { delayMs } = told.findLast(({ type }) => type === "retry")! as unknown as { delayMs: number };
  await vi.advanceTimersByTimeAsync(Math.ceil(delayMs));
  return delayMs;
}

/** Lets promises settle. */
export async function settle(): Promise<void> {
  await vi.advanceTimersByTimeAsync(0);
}

/** Fakes the timers that the client uses. */
export function fakeTimers(): void {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
}
