import { describe, expect, test } from "vitest";
import type { ServerSocket } from "../../../src/app/websocket/server-socket.ts";
import { SocketRegistry } from "../../../src/app/websocket/socket-registry.ts";
import { connectTo, eventOf, listeningApp, portOf } from "../../support/app.ts";
import { close } from "../../support/frames.ts";
import { usedBytes } from "../../support/memory.ts";
import { rawRequest, statusOf, upgradeRequest } from "../../support/raw-client.ts";

function socketFrom(remoteAddress: string): ServerSocket {
  return { remoteAddress } as ServerSocket;
}

const UNLIMITED = { maxConnections: Infinity, maxConnectionsPerIp: Infinity };

describe("room", () => {
  test("is there until maxConnections is reached, and again when a socket has gone", () => {
    const connections = new SocketRegistry({ ...UNLIMITED, maxConnections: 2 });
    const sockets = [socketFrom("a"), socketFrom("b")];
    for (const socket of sockets) {
      expect(() => connections.checkRoom("c")).not.toThrow();
      connections.add(socket);
    }
    expect(() => connections.checkRoom("c")).toThrow(expect.objectContaining({ status: 503 }));
    connections.delete(sockets[0], true);
    connections.delete(sockets[0], true);
    expect(() => connections.checkRoom("c")).not.toThrow();
    connections.add(sockets[0]);
    expect(() => connections.checkRoom("c")).toThrow(expect.objectContaining({ status: 503 }));
  });

  test("is there for each address until maxConnectionsPerIp is reached, and again when a socket of that address has gone", () => {
    const connections = new SocketRegistry({ ...UNLIMITED, maxConnectionsPerIp: 2 });
    const sockets = ["a", "a", "b", "__proto__"].map(socketFrom);
    for (const socket of sockets) connections.add(socket);
    expect(() => connections.checkRoom("a")).toThrow(expect.objectContaining({ status: 429 }));
    for (const ip of ["b", "c", "__proto__"]) expect(() => connections.checkRoom(ip)).not.toThrow();
    connections.delete(sockets[2], true);
    expect(() => connections.checkRoom("a")).toThrow(expect.objectContaining({ status: 429 }));
    connections.delete(sockets[0], true);
    connections.delete(sockets[0], true);
    expect(() => connections.checkRoom("a")).not.toThrow();
    connections.add(sockets[0]);
    expect(() => connections.checkRoom("a")).toThrow(expect.objectContaining({ status: 429 }));
  });
});

test("whenEmpty resolves at once when there is no socket, and otherwise when the last socket goes", async () => {
  const connections = new SocketRegistry(UNLIMITED);
  await connections.whenEmpty();
  const sockets = ["a", "b"].map(socketFrom);
  for (const socket of sockets) connections.add(socket);
  let isEmpty = false;
  const empty = connections.whenEmpty().then(() => isEmpty = true);
  connections.delete(sockets[1], true);
  await Promise.resolve();
  expect(isEmpty).toBe(false);
  connections.delete(sockets[0], true);
  await empty;
  expect([...connections]).toEqual([]);
});

test("the view has a socket until it has gone, also when nobody waits for the last one", () => {
  const connections = new SocketRegistry(UNLIMITED);
  const socket = socketFrom("a");
  connections.add(socket);
  expect([connections.view.has(socket), connections.view.has(socketFrom("a"))]).toEqual([true, false]);
  connections.delete(socket, true);
  expect([connections.view.has(socket), connections.view.size]).toEqual([false, 0]);
});

test("an address whose sockets have gone costs no memory, however many addresses there were", async () => {
  const connections = new SocketRegistry({ ...UNLIMITED, maxConnectionsPerIp: 1 });
  const before = await usedBytes();
  for (let i = 0; i < 200_000; i++) {
    const socket = socketFrom(`2001:db8::${i.toString(16)}`);
    connections.add(socket);
    connections.delete(socket, true);
  }
  // An address that stays in the map takes some 60 bytes or more.
  expect(await usedBytes() - before).toBeLessThan(4 * 1024 * 1024);
  expect(() => connections.checkRoom("2001:db8::0")).not.toThrow();
});

test("sockets that have gone are counted once, those with a closing handshake apart from those without", () => {
  const connections = new SocketRegistry(UNLIMITED);
  const sockets = ["a", "b", "c"].map(socketFrom);
  for (const socket of sockets) connections.add(socket);
  connections.delete(sockets[0], true);
  connections.delete(sockets[1], false);
  connections.delete(sockets[0], false);
  expect(connections).toMatchObject({ size: 1, closed: 1, terminated: 1 });
});

describe("on the wire", () => {
  test.each([
    ["maxConnections", { maxConnections: 2 }, 503],
    ["maxConnectionsPerIp", { maxConnectionsPerIp: 2 }, 429],
  ])(
    "above %s handshakes are refused until a socket has gone, with or without a closing handshake",
    async (_name, options, status) => {
      const app = await listeningApp(options, (app) => app.ws("/", () => {}));
      const refused = async (): Promise<number> => statusOf(await rawRequest(portOf(app), upgradeRequest()));
      let [first, second] = [await connectTo(app), await connectTo(app)];
      expect(await refused()).toBe(status);
      const ends: (() => void)[] = [
        () => first.send(close(1000)),
        () => first.reset(),
        () => first.end(),
        () => void [...app.sockets][0].terminate(),
      ];
      for (const end of ends) {
        const closed = eventOf([...app.sockets][0], "close");
        end();
        await closed;
        [first, second] = [second, await connectTo(app)];
        expect(await refused()).toBe(status);
      }
      expect(app.stats()).toMatchObject({ connections: 2, accepted: 6, refused: 5 });
    },
  );

  test("a handshake that is refused for another reason does not count", async () => {
    const app = await listeningApp({ maxConnections: 1 }, (app) => app.ws("/", () => {}));
    for (let i = 0; i < 3; i++) {
      expect(statusOf(await rawRequest(portOf(app), upgradeRequest("/nowhere")))).toBe(404);
    }
    await connectTo(app);
    expect(app.sockets.size).toBe(1);
  });
});
