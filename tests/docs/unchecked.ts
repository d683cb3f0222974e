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

/** Programs that are compiled and do not run, by page and name, each with the reason. Their pages say so. */
export const notRun: typeof unchecked = {
  "docs/coming-from-uwebsockets.md": {
    "coming-from-uwebsocketsjs ts": "uWebSockets.js comes from GitHub and not from npm, so the gate does not have it",
  },
};

/** The sentence in a page with a program that does not run. */
export const NOT_RUN = "was not run by our tests";
