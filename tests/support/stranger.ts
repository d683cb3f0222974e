/**
 * A program that attacks a server, for tests of what everybody else experiences meanwhile. It prints `begun` when the
 * attack is under way, and `all` when the server has got all that belongs to it or takes no more. An attack goes on
 * until the process is killed.
 *
 *     stranger.ts <name of the attack> <port>
 */

import process from "node:process";
import { attacks } from "./strangers.ts";

const [name, port] = process.argv.slice(2);
// The process lives until it is killed.
setInterval(() => {}, 60_000);
console.log("begun");
await attacks[name!]!(Number(port));
console.log("all");
