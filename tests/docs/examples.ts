/** What the tests know of the blocks of code, page by page. A block that is a whole program may need no entry. */
import type { Example, Examples } from "./example.ts";
import { authentication } from "./examples/authentication.ts";
import { backpressure } from "./examples/backpressure.ts";
import { behindAProxy } from "./examples/behind-a-proxy.ts";
import { client } from "./examples/client.ts";
import { collaborate } from "./examples/collaborate.ts";
import {
  comingFromBun,
  comingFromDeno,
  comingFromSocketIo,
  comingFromUWebSockets,
  comingFromWs,
} from "./examples/coming-from.ts";
import { compression } from "./examples/compression.ts";
import { delivery } from "./examples/delivery.ts";
import { deploy } from "./examples/deploy.ts";
import { graphqlWs } from "./examples/graphql-ws.ts";
import { jsonRpc } from "./examples/json-rpc.ts";
import { mcp } from "./examples/mcp.ts";
import { options } from "./examples/options.ts";
import { orpc } from "./examples/orpc.ts";
import { protocol } from "./examples/protocol.ts";
import { readme } from "./examples/readme.ts";
import { recipes } from "./examples/recipes.ts";
import { scaling } from "./examples/scaling.ts";
import { security } from "./examples/security.ts";
import { shareAServer } from "./examples/share-a-server.ts";
import { start } from "./examples/start.ts";
import { trpc } from "./examples/trpc.ts";
import { troubleshooting } from "./examples/troubleshooting.ts";
import { typedMessages } from "./examples/typed-messages.ts";
import type { Block } from "./markdown.ts";

export const examples: Readonly<Record<string, Examples>> = {
  "README.md": readme,
  "docs/authentication.md": authentication,
  "docs/backpressure.md": backpressure,
  "docs/behind-a-proxy.md": behindAProxy,
  "docs/client.md": client,
  "docs/collaborate.md": collaborate,
  "docs/coming-from-bun.md": comingFromBun,
  "docs/coming-from-deno.md": comingFromDeno,
  "docs/coming-from-socket-io.md": comingFromSocketIo,
  "docs/coming-from-uwebsockets.md": comingFromUWebSockets,
  "docs/coming-from-ws.md": comingFromWs,
  "docs/compression.md": compression,
  "docs/delivery.md": delivery,
  "docs/deploy.md": deploy,
  "docs/graphql-ws.md": graphqlWs,
  "docs/json-rpc.md": jsonRpc,
  "docs/mcp.md": mcp,
  "docs/options.md": options,
  "docs/orpc.md": orpc,
  "docs/protocol.md": protocol,
  "docs/recipes.md": recipes,
  "docs/scaling.md": scaling,
  "docs/security.md": security,
  "docs/share-a-server.md": shareAServer,
  "docs/start.md": start,
  "docs/trpc.md": trpc,
  "docs/troubleshooting.md": troubleshooting,
  "docs/typed-messages.md": typedMessages,
};

/** What is known of a block; nothing for a block that has no entry. */
export function exampleOf({ page, name }: Block): Example {
  return examples[page]?.[name] ?? {};
}
