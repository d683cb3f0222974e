/** The blocks of code of docs/troubleshooting.md. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect } from "vitest";
import type { Examples } from "../example.ts";
import { startBlock } from "../program.ts";

export const troubleshooting: Examples = {
  "troubleshooting sh": {
    run: async (_values, code) => {
      const { app } = await startBlock("docs/troubleshooting.md", "troubleshooting ts");
      const command = code.replace("localhost:3000", `127.0.0.1:${app.address!.port}`);
      // The connection stays open, so curl ends when its time is over.
      const { stdout } = await promisify(execFile)("bash", ["-c", `${command.trimEnd()} || test $? -eq 28`]);
      expect(stdout).toContain("HTTP/1.1 101 Switching Protocols");
    },
  },
};
