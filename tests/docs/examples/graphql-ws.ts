/** The blocks of code of docs/graphql-ws.md. */
import { expect, onTestFinished } from "vitest";
import type { InjectedClient } from "../../../mod.ts";
import type { Examples, Values } from "../example.ts";
import { connectBlocks, logInTo, nextJson, watchErrors } from "../libraries.ts";

/** Begins a long subscription. */
async function subscribe(values: Values): Promise<InjectedClient> {
  const client = await logInTo(values, "/graphql", "graphql-transport-ws");
  client.send('{"type":"connection_init"}');
  expect(await nextJson(client)).toEqual({ type: "connection_ack" });
  const query = "subscription { countdown(from: 2000000000) }";
  client.send(JSON.stringify({ type: "subscribe", id: "1", payload: { query } }));
  expect(await nextJson(client)).toMatchObject({ type: "next", payload: { data: { countdown: 2_000_000_000 } } });
  return client;
}

export const graphqlWs: Examples = {
  "graphql-ws ts": {
    run: async (values) => {
      const client = await logInTo(values, "/graphql", "graphql-transport-ws");
      client.send('{"type":"ping"}');
      expect(await nextJson(client)).toEqual({ type: "pong" });
      client.send("hello");
      expect(await client.closed).toMatchObject({ code: 4400 });
      const old = await logInTo(values, "/graphql");
      expect(await old.closed).toMatchObject({ code: 4406 });
      await expect(values.app.inject("/graphql", { subprotocols: ["graphql-ws"] })).rejects.toThrow("refused with 400");
      // A subscription ends with its client, in either way, and without a word in the log.
      const errors = watchErrors();
      (await subscribe(values)).terminate();
      await (await subscribe(values)).close(4000);
      await expect.poll(() => values.app.sockets.size).toBe(0);
      expect(errors).toEqual([]);
    },
  },
  "graphql-ws js": {
    run: async () => {
      const { client } = await connectBlocks("docs/graphql-ws.md", "graphql-ws ts", "graphql-ws js");
      onTestFinished(() => client.dispose());
      const results: unknown[] = [];
      for (const query of ["{ me }", "subscription { countdown(from: 2) }"]) {
        for await (const result of client.iterate({ query })) results.push(result);
      }
      expect(results).toEqual([{ data: { me: "Ada" } }, { data: { countdown: 2 } }, { data: { countdown: 1 } }]);
    },
  },
};
