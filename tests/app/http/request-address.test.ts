/**
 * The address of requests whose messages other libraries have made: no runtime has checked them before, and parts of
 * them may be missing.
 */

import type { IncomingMessage } from "node:http";
import { describe, expect, test } from "vitest";
import type { HttpError } from "../../../src/app/http/http-error.ts";
import {
  adoptAuthority,
  checkAddress,
  clientOf,
  hasTooManyHeaders,
  pathOf,
  RequestParts,
} from "../../../src/app/http/request.ts";
import { limitsHeaders } from "../../../src/platform.ts";

interface Parts {
  url?: string | undefined;
  method?: string;
  httpVersion?: string;
  /** The values of the Host headers. */
  hosts?: readonly string[];
  headers?: Record<string, string>;
  joinDuplicateHeaders?: boolean;
  socket?: object | undefined;
}

/** A message as Node makes one, which keeps the first of several Host headers unless it joins duplicates. */
function message({ hosts = ["a.example"], headers = {}, ...parts }: Parts = {}): IncomingMessage {
  const { joinDuplicateHeaders } = parts;
  const host = joinDuplicateHeaders === true ? hosts.join(", ") : hosts[0];
  const all = { ...(hosts.length > 0 && { host }), ...headers };
  const rawHeaders = [...hosts.flatMap((each) => ["hOST", each]), ...Object.entries(headers).flat()];
  return { method: "GET", url: "/", httpVersion: "1.1", headers: all, rawHeaders, ...parts } as IncomingMessage;
}

function statusOf(parts: Parts, path: string = "/"): number | undefined {
  try {
    checkAddress(message(parts), path);
  } catch (error) {
    return (error as HttpError).status;
  }
  return undefined;
}

describe("checkAddress", () => {
  test.each<[string, Parts, number | undefined]>([
    ["one Host", {}, undefined],
    ["no Host", { hosts: [] }, 400],
    ["no Host in HTTP/1.0", { hosts: [], httpVersion: "1.0" }, undefined],
    ["a wrong Host in HTTP/1.0", { hosts: ["a b"], httpVersion: "1.0" }, 400],
    ["two Hosts, of which the message shows the first", { hosts: ["a", "b"] }, 400],
    ["two Hosts that the message has joined", { hosts: ["a", "b"], joinDuplicateHeaders: true }, 400],
    ["one Host of a message that joins", { hosts: ["a"], joinDuplicateHeaders: true }, undefined],
    ["a Host, and another header with the value host", { headers: { "x-header": "host", "x-other": "b" } }, undefined],
  ])("%s: %o is %s", (_name, parts, status) => {
    expect(statusOf(parts)).toBe(status);
  });

  test("refuses an empty path", () => {
    expect(statusOf({}, "")).toBe(400);
  });
});

test.each<[target: string | undefined, method: string, path: string, query: string, host: string]>([
  ["/a?b=1", "GET", "/a", "b=1", "a.example"],
  ["/", "GET", "/", "", "a.example"],
  [undefined, "GET", "/", "", "a.example"],
  ["*", "OPTIONS", "*", "", "a.example"],
  ["*", "GET", "", "", "a.example"],
  ["a*", "OPTIONS", "", "", "a.example"],
  ["http://b.example:8080", "GET", "/", "", "b.example:8080"],
  ["HTTPS://b.example/a?b=1&c", "GET", "/a", "b=1&c=", "b.example"],
  ["http://b.example?b=1", "GET", "/", "b=1", "b.example"],
  ["ahttp://b.example/", "GET", "", "", "a.example"],
  ["http:///a", "GET", "", "", "a.example"],
  ["http://b,c/", "GET", "", "", "a.example"],
  ["/a#b", "GET", "", "", "a.example"],
])("the target %s of %s", (url, method, path, query, host) => {
  const request = message({ url, method });
  expect(pathOf(request)).toBe(path);
  adoptAuthority(request);
  const details = new RequestParts(request, { ip: "" });
  expect([details.path, `${details.query}`, details.host]).toEqual([path, query, host]);
});

test("a message without a url is left as it is", () => {
  const request = message({ url: undefined });
  delete request.url;
  adoptAuthority(request);
  expect([request.headers.host, pathOf(request)]).toEqual(["a.example", "/"]);
});

test("a message without a socket or a Host has neither a client nor a host", () => {
  const bare = message({ hosts: [], socket: undefined });
  const client = clientOf(bare, undefined);
  const { ip, host, protocol } = new RequestParts(bare, client);
  expect([client.ip, ip, host, protocol]).toEqual(["", "", "", "http"]);
});

test("the client is the peer of the socket, and the protocol that of the socket", () => {
  const secure = message({ socket: { remoteAddress: "192.0.2.7", encrypted: true } });
  const { ip, protocol } = new RequestParts(secure, clientOf(secure, undefined));
  expect([ip, protocol]).toEqual(["192.0.2.7", "https"]);
  const unknown = message({ socket: {} });
  expect(clientOf(unknown, undefined).ip).toBe("");
});

test("a request with a thousand headers may have had more, except where the runtime limits them", () => {
  const withHeaders = (count: number): IncomingMessage =>
    message({ hosts: [], headers: Object.fromEntries(Array.from({ length: count }, (_, i) => [`x-${i}`, ""])) });
  expect([999, 1_000, 1_001].map((count) => hasTooManyHeaders(withHeaders(count)))).toEqual(
    limitsHeaders ? [false, false, false] : [false, true, true],
  );
});
