/** Blocks of code that the tests of the pages do not check, by page and name, each with the reason. */
const PROXIES = "tests/e2e/proxies.test.ts runs it";
const SYSTEMD = "the machine of the gate may be a container, which has no systemd";

export const unchecked: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  "docs/behind-a-proxy.md": {
    "nginx nginx": PROXIES,
    "haproxy haproxy": PROXIES,
    "caddy caddyfile": PROXIES,
  },
  "docs/deploy.md": {
    "systemd ini": SYSTEMD,
    "systemd ini 2": SYSTEMD,
  },
  "docs/observability.md": {
    "metrics promql": "the gate has no parser of this language",
  },
  "docs/scaling.md": {
    "a-million-connections ini": "these settings of a kernel hold for a whole machine",
  },
};
