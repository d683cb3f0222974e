// Cross-site WebSocket hijacking (CVE-2025-24010): any web page could connect, with its visitor's cookies.

import { describe, expect, test } from "vitest";
import { echoServer } from "../support/echo-server.ts";
import { close } from "../support/frames.ts";
import { headerOf, rawRequest, statusOf, upgradeRequest } from "../support/raw-client.ts";

describe("a page", () => {
  const server = echoServer({
    wsOrigins: ["https://mysite.com", "https://*.example.org", "http://localhost:5173", /^https:\/\/pr-\d+\.dev$/],
  });

  test.each<[string, string | readonly string[] | undefined]>([
    ["none, which no browser sends", undefined],
    ["the one that is named", "https://mysite.com"],
    ["the same in capitals", "HTTPS://MySite.COM"],
    ["the same with its port", "https://mysite.com:443"],
    ["one below the wildcard", "https://app.example.org"],
    ["one two below the wildcard", "https://eu.app.example.org"],
    ["one with the port that is named", "http://localhost:5173"],
    ["one that the pattern knows", "https://pr-42.dev"],
  ])("may connect from %s", async (_name, origin) => {
    const request = upgradeRequest("/", { Origin: origin }) + close(1000).toString("latin1");
    expect(statusOf(await rawRequest(server.port, request))).toBe(101);
  });

  test.each<[string, string | readonly string[]]>([
    ["another one", "https://evil.com"],
    ["the same without TLS", "http://mysite.com"],
    ["the same on another port", "https://mysite.com:8443"],
    ["one that begins with it", "https://mysite.com.evil.com"],
    ["one that ends with it", "https://evilmysite.com"],
    ["a subdomain of one that has no wildcard", "https://app.mysite.com"],
    ["the wildcard's parent", "https://example.org"],
    ["one that only ends like the wildcard", "https://evilexample.org"],
    ["one that hides it behind an at sign", "https://mysite.com@evil.com"],
    ["one that hides it in a path", "https://evil.com/https://mysite.com"],
    ["one that hides it behind a backslash", "https://evil.com\\@mysite.com"],
    ["one that hides it behind a hash", "https://evil.com#.example.org"],
    ["one with a line around what the pattern knows", "https://evil.com\thttps://pr-42.dev"],
    ["null, which sandboxed pages send", "null"],
    ["nothing", ""],
    ["a star", "*"],
    ["its name without a scheme", "mysite.com"],
    ["two at once", ["https://mysite.com", "https://evil.com"]],
    ["the same twice", ["https://mysite.com", "https://mysite.com"]],
  ])("may not connect from %s: 403", async (_name, origin) => {
    const response = await rawRequest(server.port, upgradeRequest("/", { Origin: origin }));
    expect(statusOf(response)).toBe(403);
    expect(headerOf(response, "Sec-WebSocket-Accept")).toBeUndefined();
  });
});
