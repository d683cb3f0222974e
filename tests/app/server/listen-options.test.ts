import { describe, expect, test } from "vitest";
import { resolveListen } from "../../../src/app/server/listen-options.ts";

describe("where to listen", () => {
  test.each<[string, unknown, object]>([
    ["a port", 3000, { port: 3000 }],
    ["any port", 0, { port: 0 }],
    ["the last port", 65_535, { port: 65_535 }],
    ["a port and a host", { port: 3000, host: "127.0.0.1" }, { port: 3000, host: "127.0.0.1" }],
    ["an fd", { fd: 3 }, { fd: 3 }],
    ["a path", { path: "/run/chat.sock" }, { path: "/run/chat.sock" }],
    ["a path and no port", { path: "a", port: undefined, host: undefined }, { path: "a" }],
    ["a port that processes share", { port: 3000, reusePort: true }, { port: 3000, reusePort: true }],
    ["a port of this process alone", { port: 3000, reusePort: false }, { port: 3000 }],
    ["a port and no host", { port: 3000, host: undefined }, { port: 3000 }],
  ])("%s", (_name, where, expected) => {
    expect(resolveListen(where)).toEqual(expected);
  });

  test.each<[unknown, ErrorConstructor, RegExp]>([
    ["x", TypeError, /listen takes a port, or \{ port, host \}, \{ path \} or \{ fd \}; got "x"/],
    ["3000", TypeError, /listen takes a port.*got "3000"/],
    [undefined, TypeError, /listen takes a port.*got undefined/],
    [null, TypeError, /listen takes a port.*got null/],
    [[3000], TypeError, /listen takes a port.*got an array/],
    [{}, TypeError, /port must be a number from 0 to 65535; got undefined/],
    [{ port: "3000" }, TypeError, /port must be a number from 0 to 65535; got "3000"/],
    [-1, RangeError, /port must be a whole number from 0 to 65535; got -1/],
    [65_536, RangeError, /port must be a whole number from 0 to 65535; got 65536/],
    [80.5, RangeError, /got 80\.5/],
    [NaN, RangeError, /got NaN/],
    [Infinity, RangeError, /got Infinity/],
    [{ fd: -1 }, RangeError, /fd must be a whole number from 0 to 2147483647; got -1/],
    [{ fd: 3.5 }, RangeError, /fd must be .*got 3\.5/],
    [{ fd: "3" }, TypeError, /fd must be .*got "3"/],
    [{ fd: null }, TypeError, /fd must be .*got null/],
    ...[{ port: 3000 }, { host: "a" }, { path: "/a" }, { reusePort: true }].map(
      (
        more,
      ): [unknown, ErrorConstructor, RegExp] => [{ fd: 3, ...more }, TypeError, /either an fd, or a path, or a port/],
    ),
    [{ path: "" }, TypeError, /path must be the path of a unix socket; got ""/],
    [{ path: 3000 }, TypeError, /path must be the path of a unix socket; got 3000/],
    [{ path: null }, TypeError, /path must be .*got null/],
    ...[{ port: 3000 }, { host: "a" }, { reusePort: true }].map(
      (
        more,
      ): [unknown, ErrorConstructor, RegExp] => [
        { path: "/a", ...more },
        TypeError,
        /^listen takes either a path, or a port, a host and reusePort$/,
      ],
    ),
    [{ port: 3000, reusePort: "yes" }, TypeError, /reusePort must be true or false; got "yes"/],
    [{ port: 3000, reusePort: null }, TypeError, /reusePort must be true or false; got null/],
    [{ port: 3000, host: 42 }, TypeError, /host must be a string; got 42/],
    [{ port: 3000, hostname: "a" }, TypeError, /listen has no option "hostname"; it has port, host/],
  ])("%o is refused", (where, kind, message) => {
    expect(() => resolveListen(where)).toThrow(kind);
    expect(() => resolveListen(where)).toThrow(message);
  });
});
