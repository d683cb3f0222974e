/** Blocks of code that no test checks, by page and name, each with the reason. */
export const unchecked: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  "docs/deploy.md": {
    "systemd ini": "the machine of the gate may be a container, which has no systemd",
    "systemd ini 2": "the machine of the gate may be a container, which has no systemd",
    "behind-a-proxy nginx": "nginx is not among the programs of the gate",
  },
  "docs/scaling.md": {
    "a-million-connections ini": "these settings of a kernel hold for a whole machine",
  },
};
