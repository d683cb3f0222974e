/** What the tests know of the blocks of code, page by page. A block that is a whole program may need no entry. */
import type { Example, Examples } from "./example.ts";
import { authentication } from "./examples/authentication.ts";
import { backpressure } from "./examples/backpressure.ts";
import { behindAProxy } from "./examples/behind-a-proxy.ts";
import { client } from "./examples/client.ts";
import { compression } from "./examples/compression.ts";
import { delivery } from "./examples/delivery.ts";
import { deploy } from "./examples/deploy.ts";
import { options } from "./examples/options.ts";
import { protocol } from "./examples/protocol.ts";
import { readme } from "./examples/readme.ts";
import { scaling } from "./examples/scaling.ts";
import { security } from "./examples/security.ts";
import { shareAServer } from "./examples/share-a-server.ts";
import { start } from "./examples/start.ts";
import { troubleshooting } from "./examples/troubleshooting.ts";
import type { Block } from "./markdown.ts";

export const examples: Readonly<Record<string, Examples>> = {
  "README.md": readme,
  "docs/authentication.md": authentication,
  "docs/backpressure.md": backpressure,
  "docs/behind-a-proxy.md": behindAProxy,
  "docs/client.md": client,
  "docs/compression.md": compression,
  "docs/delivery.md": delivery,
  "docs/deploy.md": deploy,
  "docs/options.md": options,
  "docs/protocol.md": protocol,
  "docs/scaling.md": scaling,
  "docs/security.md": security,
  "docs/share-a-server.md": shareAServer,
  "docs/start.md": start,
  "docs/troubleshooting.md": troubleshooting,
};

/** What is known of a block; nothing for a block that has no entry. */
export function exampleOf({ page, name }: Block): Example {
  return examples[page]?.[name] ?? {};
}
