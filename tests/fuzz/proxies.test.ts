// The headers of proxies: whatever a client writes into them, it cannot become another client.

import type { IncomingHttpHeaders } from "node:http";
import fc from "fast-check";
import { describe, test } from "vitest";
import { HttpError } from "../../src/app/http/http-error.ts";
import { compileTrustProxy, readClient } from "../../src/app/http/trust-proxy.ts";
import { recordingLogger } from "../support/app.ts";
import { fuzz } from "./runs.ts";
import { expectSame } from "./same.ts";
import { anyText, piecesOf } from "./texts.ts";

const { logger } = recordingLogger();
const proxies = ["10.0.0.1", "10.0.0.2", "10.0.0.3", "fd00::1"];
const client = fc.constantFrom("203.0.113.9", "2001:db8::9");
/** What a client may have written in front of the parts of the proxies. */
const forged = fc.oneof(
  anyText,
  piecesOf(
    [
      "for=",
      "by=",
      "proto=https",
      "host=evil",
      ";",
      ",",
      ", ",
      '"',
      "\\",
      "10.0.0.1",
      "[fd00::1]",
      ":80",
      "_hidden",
      "unknown",
    ],
    10,
  ),
);
const settings = fc.constantFrom<number | string[]>(1, 2, 3, ["10.0.0.0/8", "fd00::/8"]);

describe("what a client has written changes nothing behind proxies that add their parts", () => {
  const quoted = (address: string, port: string): string =>
    address.includes(":") ? `"[${address}]${port}"` : port === "" ? address : `"${address}${port}"`;

  test.each(
    [
      ["X-Forwarded-For", "x-forwarded-for", (address: string) => address],
      [
        "Forwarded",
        "forwarded",
        (address: string, port: string) => `for=${quoted(address, port)};proto=https;by="_a, b\\", for=evil"`,
      ],
    ] as const,
  )("%s", async (_name, header, partOf) => {
    await fuzz(
      20_000,
      fc.property(
        fc.option(forged, { nil: undefined }),
        client,
        fc.shuffledSubarray(proxies, { minLength: 1 }),
        fc.boolean(),
        fc.constantFrom("", ":80", ":_port"),
        fc.constantFrom(",", ", ", " ,\t"),
        (forged, client, chain, isCounted, port, comma) => {
          const isTrusted = compileTrustProxy(isCounted ? chain.length : ["10.0.0.0/8", "fd00::/8"], logger);
          const written = [client, ...chain.slice(0, -1)].map((address) => partOf(address, port));
          const value = [...(forged === undefined ? [] : [forged]), ...written].join(comma);
          const { ip, protocol } = readClient(chain.at(-1)!, { [header]: value }, isTrusted);
          expectSame(ip, client, () => JSON.stringify({ value, chain, isCounted }));
          const said = header === "forwarded" ? "https" : undefined;
          expectSame(String(protocol), String(said), () => JSON.stringify({ value, chain, isCounted }));
        },
      ),
    );
  });
});

test("any headers give an address, or the refusal of two that differ", async () => {
  const value = fc.option(fc.oneof(forged, fc.array(forged, { maxLength: 3 })), { nil: undefined });
  await fuzz(
    20_000,
    fc.property(
      fc.record({ forwarded: value, "x-forwarded-for": value, "x-forwarded-proto": value, "x-forwarded-host": value }),
      fc.constantFrom("", "10.0.0.1", "fe80::1%eth0", "::ffff:10.0.0.1"),
      settings,
      (headers, peer, trusted) => {
        const input = (): string => JSON.stringify({ headers, peer, trusted });
        try {
          const { ip, protocol, host } = readClient(
            peer,
            headers as IncomingHttpHeaders,
            compileTrustProxy(trusted, logger),
          );
          const isAddress = ip === peer || /^[\da-f.:]+$/.test(ip);
          expectSame(String(isAddress), "true", input);
          expectSame(String([undefined, "http", "https"].includes(protocol)), "true", input);
          expectSame(String(host === undefined || /^[^\s,/@\\]+$/.test(host)), "true", input);
        } catch (error) {
          if (!(error instanceof HttpError)) throw error;
          const areBoth = headers.forwarded !== undefined && Object.keys(headers).length > 1;
          expectSame(`${error.status} ${areBoth}`, "400 true", input);
        }
      },
    ),
  );
});
