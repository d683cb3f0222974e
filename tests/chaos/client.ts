/**
 * A process of clients, which may be killed or frozen at any moment. It notes what it does before it does it, and what
 * it gets as soon as it has it, in a file that outlives it. It prints a line when it begins, and ends with its last
 * connection.
 *
 *     SETTING=… VISITS=… NOTES=… CERT=… client.ts
 */

import type { Buffer } from "node:buffer";
import { openSync, writeSync } from "node:fs";
import process from "node:process";
import { setTimeout as delay } from "node:timers/promises";
import WebSocket from "ws";
import { clientLabel, labelOf, messageOf } from "./messages.ts";
import type { ConnectionPlan, Setting } from "./plan.ts";
import type { ClientEvent } from "./records.ts";

/** One connection to be made, and the port where its road begins. */
export interface ClientVisit {
  readonly plan: ConnectionPlan;
  readonly port: number;
}

const TIMEOUT_MS = 30_000;

const { SETTING = "", VISITS = "", NOTES = "", CERT: ca = "" } = process.env;
const setting = JSON.parse(SETTING) as Setting;
const notes = openSync(NOTES, "a");

function note(...event: ClientEvent): void {
  writeSync(notes, `${JSON.stringify(event)}\n`);
}

/** Opens a connection, and notes everything that happens to it. */
function visit({ plan, port }: ClientVisit): void {
  const { id } = plan;
  const address = `${setting.isSecure ? "wss" : "ws"}://127.0.0.1:${port}/?plan=${
    encodeURIComponent(JSON.stringify(plan))
  }`;
  // The types of ws do not have `closeTimeout` yet.
  const options: WebSocket.ClientOptions & { closeTimeout: number } = {
    ca,
    handshakeTimeout: TIMEOUT_MS,
    closeTimeout: TIMEOUT_MS,
    perMessageDeflate: setting.compression !== undefined && { threshold: 200 },
  };
  const client = new WebSocket(address, options);
  let isOpened = false;
  client.on("open", () => {
    isOpened = true;
    note("opened", id);
    void converse(client, plan);
  });
  client.on("message", (data: Buffer, isBinary: boolean) => {
    note("received", id, labelOf(isBinary ? data : data.toString()));
  });
  client.on("error", (error) => {
    if (!isOpened) note("failed", id, error.message);
  });
  client.on("close", (code) => {
    if (isOpened) note("closed", id, code);
  });
}

/** Sends the messages of the plan in bursts, and ends as the plan says. */
async function converse(client: WebSocket, { id, count, burst, gapMs, end, code }: ConnectionPlan): Promise<void> {
  for (let sent = 0; sent < count;) {
    if (client.readyState !== WebSocket.OPEN) return;
    const upTo = Math.min(count, sent + burst);
    note("sends", id, upTo);
    for (; sent < upTo; sent++) client.send(messageOf(clientLabel(id, sent)));
    await delay(gapMs);
  }
  if (client.readyState !== WebSocket.OPEN || end === "stay") return;
  if (end === "close") {
    note("closes", id, code);
    client.close(code, "done");
  } else {
    note("terminates", id);
    client.terminate();
  }
}

console.log("begins");
for (const each of JSON.parse(VISITS) as ClientVisit[]) visit(each);
