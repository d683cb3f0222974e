/** The programs of the quick start of README.md. */

import { blockOf } from "../docs/pages.ts";

const NEXT_STEPS = ["send-to-many ts", "let-in-your-users-only ts", "miss-nothing ts"];

/** The program as it stands there, at any free port. */
export const program: string = blockOf("README.md", "quick-start ts").code.replace("listen(3000)", "listen(0)");

/** The program with the next steps at the place that the README names. */
export const longProgram: string = program.replace("await app.listen", (listen) => {
  return `${NEXT_STEPS.map((name) => blockOf("README.md", name).code).join("\n")}\n${listen}`;
});
