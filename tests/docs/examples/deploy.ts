/** The blocks of code of docs/deploy.md. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { request } from "node:https";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { expect, onTestFinished } from "vitest";
import { parse } from "yaml";
import { certificate } from "../../support/certificate.ts";
import { APP, type Examples } from "../example.ts";

/** Writes a certificate, and names its files in the environment of the block. */
async function writeCertificate(): Promise<void> {
  const place = await mkdtemp(join(tmpdir(), "spacenode-"));
  const { key, cert } = certificate();
  for (const [name, text] of Object.entries({ KEY: key, CERT: cert })) {
    process.env[name] = join(place, name);
    await writeFile(join(place, name), text);
  }
  onTestFinished(async () => {
    delete process.env.KEY;
    delete process.env.CERT;
    await rm(place, { recursive: true });
  });
}

export const deploy: Examples = {
  "deploy ts": {
    run: async ({ app }) => {
      const [ada, bob] = [await app.inject("/chat"), await app.inject("/chat")];
      ada.send("hello");
      expect(await bob.next()).toBe("hello");
      const response = await fetch(`http://127.0.0.1:${app.address!.port}/health`, {
        headers: { Connection: "close" },
      });
      expect(await response.json()).toEqual({ ok: true, connections: 2 });
      process.emit("SIGTERM");
      expect(await bob.closed).toEqual({ code: 1001, reason: "" });
    },
  },
  "systemd ts": {
    before: APP,
    run: ({ app }) => expect(app.address!.port).toBeGreaterThan(0),
  },
  "kubernetes yaml": {
    run: (_values, code) => {
      const { terminationGracePeriodSeconds, containers: [container] } = parse(code).spec.template.spec;
      const closeSeconds = 5 + 5;
      expect(terminationGracePeriodSeconds).toBeGreaterThan(container.lifecycle.preStop.sleep.seconds + closeSeconds);
    },
  },
  "say-goodbye-over-a-time ts": {
    run: async ({ app }) => {
      app.ws("/", () => {});
      const client = await app.inject("/");
      process.emit("SIGTERM");
      expect(await client.closed).toEqual({ code: 1001, reason: "" });
    },
  },
  "certificates ts": {
    prepare: writeCertificate,
    run: async ({ app }) => {
      app.get("/", () => "secret");
      const [response] = await once(
        request(`https://127.0.0.1:${app.address!.port}/`, {
          rejectUnauthorized: false,
          agent: false,
        }).end(),
        "response",
      );
      expect(response.statusCode).toBe(200);
      response.resume();
    },
  },
};
