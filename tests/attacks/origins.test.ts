// Cross-site WebSocket hijacking (CVE-2025-24010): without a check of Origin, any page connects with its visitor's
// cookies.

import { describe, expect, test } from "vitest";
import { echoServer } from "../support/echo-server.ts";
import { close } from "../support/frames.ts";
import { headerOf, rawRequest, statusOf, upgradeRequest } from "../support/raw-client.ts";

describe("with wsOrigins", () => {
  const server = echoServer({
    wsOrigins: ["https://mysite.com", "https://*.example.org", "http://localhost:5173", /^https:\/\/pr-\d+\.dev$/],
  });

  test.each<[string, string | readonly string[] | undefined]>([
    ["no Origin, as from a program that is no browser", undefined],
    ["the Origin that is named", "https://mysite.com"],
    ["that Origin in capitals", "HTTPS://MySite.COM"],
    ["that Origin with its default port", "https://mysite.com:443"],
    ["a subdomain of the wildcard", "https://app.example.org"],
    ["a subdomain of a subdomain of the wildcard", "https://eu.app.example.org"],
    ["an Origin with the port that is named", "http://localhost:5173"],
    ["an Origin that the pattern matches", "https://pr-42.dev"],
  ])("a handshake is accepted with %s", async (_name, origin) => {
    const request = upgradeRequest("/", { Origin: origin }) + close(1000).toString("latin1");
    expect(statusOf(await rawRequest(server.port, request))).toBe(101);
  });

  test.each<[string, string | readonly string[]]>([
    ["another Origin", "https://evil.com"],
    ["the named Origin without TLS", "http://mysite.com"],
    ["the named Origin on another port", "https://mysite.com:8443"],
    ["an Origin that begins with the named one", "https://mysite.com.evil.com"],
    ["an Origin that ends with the named one", "https://evilmysite.com"],
    ["a subdomain of a name without a wildcard", "https://app.mysite.com"],
    ["the parent of the wildcard", "https://example.org"],
    ["an Origin that only ends like the wildcard", "https://evilexample.org"],
    ["the named Origin before an at sign", "https://mysite.com@evil.com"],
    ["the named Origin in a path", "https://evil.com/https://mysite.com"],
    ["the named host behind a backslash", "https://evil.com\\@mysite.com"],
    ["the end of the wildcard behind a hash", "https://evil.com#.example.org"],
    ["another Origin and a tab before one that the pattern matches", "https://evil.com\thttps://pr-42.dev"],
    ["null, which sandboxed pages send", "null"],
    ["an empty Origin", ""],
    ["a star", "*"],
    ["the named host without a scheme", "mysite.com"],
    ["two Origins", ["https://mysite.com", "https://evil.com"]],
    ["the named Origin twice", ["https://mysite.com", "https://mysite.com"]],
  ])("a handshake gets a 403 with %s", async (_name, origin) => {
    const response = await rawRequest(server.port, upgradeRequest("/", { Origin: origin }));
    expect(statusOf(response)).toBe(403);
    expect(headerOf(response, "Sec-WebSocket-Accept")).toBeUndefined();
  });
});
