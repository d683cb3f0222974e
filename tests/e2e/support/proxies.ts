/**
 * The proxies of the tests: nginx, HAProxy and Caddy with the configurations that docs/behind-a-proxy.md prints. Names,
 * ports, paths and time limits are replaced; all other lines are those of the page.
 */

import { execFile } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { promisify } from "node:util";
import { type Certificate, certificate } from "../../support/certificate.ts";
import { read } from "../../support/repository.ts";
import { type ServerKind, ServerProgram } from "../../support/server-program.ts";

const page = read("docs/behind-a-proxy.md");

/** The time that an idle connection has with the proxies of the tests, instead of the time that the page prints. */
export const IDLE_LIMIT_MS = 4_000;

/** What is done to connections when a proxy gets a new configuration. */
export type OnReload = "live on" | "are closed";

/** A proxy of the page. */
export interface ProxyKind {
  /** The name of the program, and the language of its block on the page. */
  readonly name: string;
  /** True when the proxy ends connections that are idle for too long. */
  readonly hasIdleLimit: boolean;
  /** True when a browser's WebSockets share the HTTP/2 connection of the page (RFC 8441). */
  readonly hasExtendedConnect: boolean;
  readonly onReload: OnReload;
  /** The server, in front of the app at this port, or at this path of a unix socket. */
  server(upstream: number | string): ServerKind;
  /** Lets the server read its files again. */
  reload(server: ServerProgram): Promise<void>;
}

/** A proxy that runs. */
export interface RunningProxy {
  readonly kind: ProxyKind;
  readonly port: number;
  /** Replaces the certificate by another one, and lets the proxy read its files again. */
  renew(certificate: Certificate): Promise<void>;
  stop(): Promise<void>;
}

/** Starts a proxy. Its certificate is the one that all tests of a file share. */
export async function startProxy(kind: ProxyKind, upstream: number | string): Promise<RunningProxy> {
  const server = await ServerProgram.create(kind.server(upstream));
  writeCertificate(server.folder, certificate());
  await server.start();
  return {
    kind,
    port: server.port,
    async renew(renewed) {
      writeCertificate(server.folder, renewed);
      await kind.reload(server);
    },
    async stop() {
      // A process that is killed would leave its workers behind.
      await server.stop();
      await server.dispose();
    },
  };
}

function writeCertificate(folder: string, { key, cert }: Certificate): void {
  writeFileSync(join(folder, "site.key"), key);
  writeFileSync(join(folder, "site.pem"), cert + key);
}

/** The first block of the page in a language, with texts replaced that it must have. */
export function blockOfPage(language: string, replacements: Record<string, string>): string {
  const block = new RegExp(`^\`\`\`${language}\n([^]*?)^\`\`\``, "m").exec(page)?.[1];
  if (block === undefined) throw new Error(`The page has no block in ${language}`);
  return Object.entries(replacements).reduce((text, [before, after]) => {
    if (!text.includes(before)) throw new Error(`The block in ${language} has no "${before}"`);
    return text.replaceAll(before, after);
  }, block);
}

/** What the configurations of the page have in common, and what it is in a test. */
function replacementsIn(folder: string): Record<string, string> {
  return { "/etc/ssl/mysite.com": join(folder, "site") };
}

/**
 * The line of a configuration with the address of the app, before and after it is replaced. For a unix socket, the page
 * has the line in a table.
 */
function upstreamLine(name: string, line: string, upstream: number | string): Record<string, string> {
  if (typeof upstream === "number") return { [line]: line.replace("3000", String(upstream)) };
  const cell = new RegExp(`^\\| ${name} +\\| \`(.*?)\``, "m").exec(page)?.[1];
  if (cell?.includes("/run/mysite/app.sock") !== true) throw new Error(`The page has no unix socket for ${name}`);
  return { [line]: cell.replace("/run/mysite/app.sock", upstream) };
}

const idleLimit = { "90s": `${IDLE_LIMIT_MS}ms` };

const nginx: ProxyKind = {
  name: "nginx",
  hasIdleLimit: true,
  hasExtendedConnect: false,
  onReload: "live on",
  server: (upstream) => ({
    name: "nginx",
    arguments(port, folder) {
      writeFileSync(
        join(folder, "site.conf"),
        blockOfPage("nginx", {
          ...replacementsIn(folder),
          ...idleLimit,
          "listen 443": `listen 127.0.0.1:${port}`,
          "mysite.com": "localhost",
          ...upstreamLine("nginx", "server 127.0.0.1:3000;", upstream),
        }),
      );
      mkdirSync(join(folder, "temporary"), { recursive: true });
      const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((what) =>
        `${what}_temp_path ${join(folder, "temporary")};`
      );
      // The workers of a process that root has started are another user by default, who cannot enter the folder.
      const user = process.getuid?.() === 0 ? "user root;" : "";
      writeFileSync(
        join(folder, "nginx.conf"),
        `${user} daemon off; worker_processes 1; pid ${join(folder, "pid")}; error_log stderr notice; events {}
        http { access_log off; ${temporary.join(" ")} include ${join(folder, "site.conf")}; }`,
      );
      return ["-e", "stderr", "-p", folder, "-c", join(folder, "nginx.conf")];
    },
    ready: /start worker process \d/,
  }),
  reload: (server) => Promise.resolve(server.signal("SIGHUP")),
};

const haproxy: ProxyKind = {
  name: "haproxy",
  hasIdleLimit: true,
  hasExtendedConnect: true,
  onReload: "live on",
  server: (upstream) => ({
    name: "haproxy",
    arguments(port, folder) {
      const file = join(folder, "haproxy.cfg");
      writeFileSync(
        file,
        blockOfPage("haproxy", {
          ...replacementsIn(folder),
          ...idleLimit,
          "bind :443": `bind 127.0.0.1:${port}`,
          ...upstreamLine("HAProxy", "server app 127.0.0.1:3000", upstream),
        }),
      );
      return ["-W", "-f", file];
    },
    ready: /Loading success/,
  }),
  reload: (server) => Promise.resolve(server.signal("SIGUSR2")),
};

const adminOf = (folder: string): string => `unix/${join(folder, "admin.sock")}`;
const caddyfileOf = (folder: string): string[] => ["--config", join(folder, "Caddyfile"), "--adapter", "caddyfile"];

const caddy: ProxyKind = {
  name: "caddy",
  hasIdleLimit: false,
  hasExtendedConnect: false,
  onReload: "are closed",
  server: (upstream) => ({
    name: "caddy",
    arguments(port, folder) {
      const site = blockOfPage("caddyfile", {
        ...replacementsIn(folder),
        "mysite.com {": `localhost:${port} {\n\tbind 127.0.0.1`,
        ...upstreamLine("Caddy", "reverse_proxy 127.0.0.1:3000", upstream),
      });
      const options = [
        `admin ${adminOf(folder)}`,
        "auto_https disable_redirects",
        `storage file_system ${join(folder, "storage")}`,
      ];
      writeFileSync(join(folder, "Caddyfile"), `{\n${options.join("\n")}\n}\n${site}`);
      return ["run", ...caddyfileOf(folder)];
    },
    // Caddy writes its last configuration into a folder of the user.
    environment: (folder) => ({ HOME: folder, XDG_CONFIG_HOME: folder, XDG_DATA_HOME: folder }),
    ready: /serving initial configuration/,
  }),
  async reload({ folder }) {
    // Caddy compares the configuration alone, which a new certificate does not change.
    await promisify(execFile)("caddy", ["reload", ...caddyfileOf(folder), "--address", adminOf(folder), "--force"]);
  },
};

export const PROXIES: readonly ProxyKind[] = [nginx, haproxy, caddy];
