import { expect, test } from "vitest";
import { OriginChecker } from "../../../src/app/websocket/origin-checker.ts";
import { recordingLogger } from "../../support/app.ts";

const REFUSAL = expect.objectContaining({ status: 403, message: "Pages of this origin may not connect" });

test("an origin that may not connect is refused with 403, and nothing is logged", () => {
  const { logger, entries } = recordingLogger();
  const checker = new OriginChecker(logger);
  const asked: unknown[] = [];
  const isAllowed = (...args: unknown[]): boolean => asked.push(args) === 1;
  checker.check("https://a.com", "mysite.com", isAllowed, "https");
  expect(() => checker.check("https://b.com", "mysite.com", isAllowed)).toThrow(REFUSAL);
  expect(asked).toEqual([["https://a.com", "mysite.com", "https"], ["https://b.com", "mysite.com", undefined]]);
  expect(entries).toEqual([]);
});

test("a request without an Origin passes without a check", () => {
  const { logger, entries } = recordingLogger();
  const checker = new OriginChecker(logger);
  for (const isAllowed of [() => false, undefined]) checker.check(undefined, "mysite.com", isAllowed);
  expect(entries).toEqual([]);
});

test("without wsOrigins every origin passes, and the first one of another host is logged, once", () => {
  const { logger, entries } = recordingLogger();
  const checker = new OriginChecker(logger);
  checker.check("https://mysite.com", "mysite.com", undefined);
  expect(entries).toEqual([]);
  for (const origin of ["https://a.com", "https://b.com"]) checker.check(origin, "mysite.com", undefined);
  expect(entries).toEqual([{ level: "warn", args: [expect.stringContaining('"https://a.com" has connected')] }]);
});
