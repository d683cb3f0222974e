/** The blocks of code of docs/collaborate.md, with the client that the page is for. */
import { expect, onTestFinished } from "vitest";
import { WebsocketProvider } from "y-websocket";
import { Doc } from "yjs";
import type { Socket } from "../../../mod.ts";
import { until } from "../../support/app.ts";
import { binary, text } from "../../support/frames.ts";
import { RawClient } from "../../support/raw-client.ts";
import type { Examples, Values } from "../example.ts";
import { startBlock, startProgram } from "../program.ts";

/** An editor of a document: a real client, without the channel by which tabs of one browser go round the server. */
function editor({ app }: Values, name: string): WebsocketProvider {
  const url = `ws://127.0.0.1:${app.address!.port}/documents`;
  const provider = new WebsocketProvider(url, name, new Doc(), { disableBc: true, maxBackoffTime: 100 });
  onTestFinished(() => {
    provider.destroy();
    provider.doc.destroy();
  });
  return provider;
}

async function stranger({ app }: Values, name: string): Promise<RawClient> {
  const client = await RawClient.connect(app.address!.port, { path: `/documents/${name}` });
  onTestFinished(() => client.terminate());
  return client;
}

async function closeCodeOf(client: RawClient): Promise<number> {
  while (client.closeFrame === undefined) await client.nextFrame();
  return client.closeFrame.payload.readUInt16BE(0);
}

const newestSocket = ({ documents }: Values): Socket => [...documents.get("minutes").sockets].at(-1);
const textOf = ({ doc }: WebsocketProvider): string => doc.getText("text").toString();
const write = ({ doc }: WebsocketProvider, text: string): void => doc.getText("text").insert(0, text);
const namesOf = ({ awareness }: WebsocketProvider): unknown[] =>
  [...awareness.getStates().values()].map((state) => state["name"]).filter((name) => name !== undefined).sort();

/** Edits of two clients meet, and each sees the other's cursor until it leaves. */
async function editTogether(values: Values, [ada, ben]: readonly WebsocketProvider[]): Promise<void> {
  ada!.awareness.setLocalStateField("name", "Ada");
  write(ada!, "first ");
  write(ben!, "second ");
  await until(() => textOf(ada!).length === 13 && textOf(ben!) === textOf(ada!));
  await until(() => namesOf(ben!).includes("Ada"));
  const late = editor(values, "minutes");
  late.awareness.setLocalStateField("name", "Cy");
  await until(() => textOf(late) === textOf(ada!) && namesOf(late).includes("Ada") && namesOf(ada!).includes("Cy"));
  // A client that vanishes says nothing of its cursor.
  late.shouldConnect = false;
  newestSocket(values).terminate();
  await until(() => !namesOf(ada!).includes("Cy"));
}

/** What both clients have written while they were cut off meets when they are back. */
async function comeBack({ app }: Values, [ada, ben]: readonly WebsocketProvider[]): Promise<void> {
  ada!.maxBackoffTime = 100;
  for (const socket of app.sockets) socket.terminate();
  await until(() => !ada!.wsconnected && !ben!.wsconnected);
  write(ada!, "away ");
  write(ben!, "too ");
  await until(() => textOf(ada!).includes("too ") && textOf(ben!) === textOf(ada!));
  // The cursor is that of the new connection, and goes with it.
  ada!.awareness.setLocalStateField("name", "Ada, back");
  await until(() => namesOf(ben!).includes("Ada, back"));
}

/** A client that reads nothing is closed, while the others edit on. */
async function stayFast(values: Values, [ada, ben]: readonly WebsocketProvider[]): Promise<void> {
  const slow = await stranger(values, "minutes");
  const socket = newestSocket(values);
  slow.pause();
  for (let edits = 0; socket.readyState === socket.OPEN; edits++) {
    expect(edits).toBeLessThan(200);
    ada!.doc.getMap("blobs").set("blob", "x".repeat(500_000) + edits);
    await until(() => ben!.doc.getMap("blobs").get("blob") === ada!.doc.getMap("blobs").get("blob"));
  }
  slow.resume();
  expect(await closeCodeOf(slow)).toBe(1013);
}

/** What is no message of the protocol closes its client, and nothing else. */
async function refuseOthers(values: Values): Promise<void> {
  for (
    const [frame, code] of [
      [text("hello"), 1003],
      [binary(Buffer.from("000205ffffffffff", "hex")), 1007],
      [binary(Buffer.from("0009", "hex")), 1007],
      [binary(Buffer.from("01020100", "hex")), 1007],
      [binary(Buffer.alloc(0)), 1007],
    ] as const
  ) {
    const client = await stranger(values, "minutes");
    client.send(frame);
    expect(await closeCodeOf(client), frame.toString("hex")).toBe(code);
    client.terminate();
  }
}

/** So many documents are open, and no more. Whoever edits an open one comes in. */
async function keepTheBound(values: Values): Promise<void> {
  const { app, documents, MAX_DOCUMENTS } = values;
  while (documents.size < MAX_DOCUMENTS) await app.inject(`/documents/${documents.size}`);
  const refused = await app.inject("/documents/one-more");
  expect((await refused.closed).code).toBe(1013);
  const guest = editor(values, "minutes");
  await until(() => textOf(guest).length === 22);
}

export const collaborate: Examples = {
  "edit-a-document-together ts": {
    run: async (values) => {
      const editors = [editor(values, "minutes"), editor(values, "minutes")];
      await editTogether(values, editors);
      await comeBack(values, editors);
      await refuseOthers(values);
      await until(() => values["documents"].get("minutes").sockets.size === 2);
      await stayFast(values, editors);
      await keepTheBound(values);
      for (const { doc } of editors) expect(doc.getText("text").length).toBe(22);
      for (const provider of editors) provider.disconnect();
      await until(() => !values["documents"].has("minutes") || values["documents"].get("minutes").sockets.size === 1);
    },
  },
  "edit-a-document-together js": {
    run: async (_values, code) => {
      const server = await startBlock("docs/collaborate.md", "edit-a-document-together ts");
      const other = editor(server, "minutes");
      const { doc, provider } = await startProgram(
        code.replace("localhost:3000", `127.0.0.1:${server.app.address!.port}`),
      );
      onTestFinished(() => provider.destroy());
      doc.getText("text").insert(0, "hello");
      await until(() => textOf(other) === "hello");
      await until(() => [...other.awareness.getStates().values()].some(({ user }) => user?.name === "Ada"));
    },
  },
};
