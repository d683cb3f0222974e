/**
 * Runs before and after each file of tests that shares a process, and fails the file when it leaves another global
 * behind. Libraries do that too: the adapter of Hono for Node replaces `Response`, and under Deno nobody can set it
 * from then on. The next files in the process would fail, or not, by the order of the files.
 */
import { afterAll, expect } from "vitest";
import { stateOf } from "./globals-state.ts";

const before = stateOf(globalThis);
afterAll(() => expect(stateOf(globalThis), "This file replaces globals, so it needs its own process").toEqual(before));
