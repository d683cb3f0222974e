/** Finds out what the page on Bun.serve says of it. */
import { inboxOf, next, open, openWire, tell } from "./wire.js";

const facts = { messages: [], closes: [] };
let theirs;
let opening = Promise.resolve();
const { promise: published, resolve: tellPublished } = Promise.withResolvers();

const server = Bun.serve({
  port: 0,
  fetch: (req, server) => server.upgrade(req) ? undefined : new Response("no"),
  websocket: {
    async open(ws) {
      theirs = ws;
      ws.subscribe("topic");
      await opening;
    },
    message(ws, message) {
      if (message === "throw") throw new Error("of a handler");
      if (message === "publish") {
        tellPublished([
          ws.publish("topic", "by ws"),
          server.publish("topic", "by server"),
          server.publish("none", "x"),
        ]);
      } else {
        if (facts.messages.length < 2) facts.messages.push(message.constructor.name);
        ws.send("heard");
      }
    },
    close(ws, code, reason) {
      facts.closes.push({ code, reason, isSubscribed: ws.isSubscribed("topic"), sent: ws.send("late") });
    },
  },
});
const { port } = server;

const finish = Promise.withResolvers();
opening = finish.promise;
const client = await open(port, { Origin: "https://a.example" });
const hear = inboxOf(client);
facts.anyOrigin = true;
client.send("text");
await hear();
facts.messageWhileOpenRuns = true;
finish.resolve();
client.send(new Uint8Array(1));
await hear();

client.send("publish");
facts.publishedToSelf = await hear();
facts.publishReturns = await published;
facts.sendReturns = theirs.send("abc");
client.send("throw");
client.send("text");
while (await hear() !== "heard");
facts.goesOnAfterException = true;

const { wire, response } = await openWire(port, { offer: "Sec-WebSocket-Extensions: permessage-deflate\r\n" });
facts.compressesByDefault = /extensions/i.test(response);
const results = Array.from({ length: 100 }, () => theirs.send(new Uint8Array(1024 * 1024)));
facts.slowReader = [...new Set(results)];
facts.stateOfSlowReader = theirs.readyState;
wire.destroy();
while (facts.closes.length < 1) await Bun.sleep(1);

const long = await open(port);
const tooLong = next(long, "close");
long.send(new Uint8Array(16 * 1024 * 1024 + 1));
facts.tooLong = (await tooLong).code;

server.stop();
client.send("text");
await hear();
facts.stateAfterStop = client.readyState;
const stopped = next(client, "close");
server.stop(true);
const { code, reason } = await stopped;
facts.forcedStop = { code, reason };
facts.closes.length = 2;
tell(facts);
