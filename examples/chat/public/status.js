/** Shows whether the page is connected, and when it tries again. */

import { announce } from "./panels.js";

const element = (id) => document.getElementById(id);
const TEXTS = { connecting: "Connecting", open: "Connected", closed: "Not connected" };

let countdown;

/** The states are "connecting", "open", "waiting" (for `delayMs`, then the page connects again) and "closed". */
export function showState(state, delayMs) {
  clearInterval(countdown);
  document.body.dataset.connection = state;
  // The class `away` stays as it is during an attempt to reconnect.
  if (state !== "connecting") document.body.classList.toggle("away", state !== "open");
  element("retry").hidden = state === "open" || state === "connecting";
  element("status-text").textContent = TEXTS[state] ?? "";
  if (state !== "waiting") return;
  const retryAt = Date.now() + delayMs;
  const count = () => {
    const seconds = Math.max(1, Math.ceil((retryAt - Date.now()) / 1000));
    element("status-text").textContent = `Reconnecting in ${seconds} s`;
  };
  count();
  countdown = setInterval(count, 1000);
  announce("The connection is lost. Trying again.");
}
