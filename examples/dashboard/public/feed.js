/** The WebSocket to the server. It reconnects by itself, after longer and longer pauses. */

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 10_000;
/** The server sends every second. A connection that is silent for so long is taken for dead. */
const SILENCE_MS = 10_000;

export class Feed {
  #on;
  #socket;
  #attempts = 0;
  #isLive = false;
  #timer;

  /**
   * - `on.state(state, retryAt)` is called with "connecting", "open", and "waiting" (until `retryAt`).
   * - `on.report(report)` is called with each message of the server.
   */
  constructor(on) {
    this.#on = on;
  }

  open() {
    this.#forget();
    this.#on.state("connecting");
    // The address is relative to the page.
    const socket = new WebSocket(new URL("live", location.href.replace(/^http/, "ws")));
    this.#socket = socket;
    this.#expectReport();
    socket.onmessage = ({ data }) => {
      if (!this.#isLive) this.#on.state("open");
      this.#isLive = true;
      this.#attempts = 0;
      this.#expectReport();
      this.#on.report(JSON.parse(data));
    };
    socket.onclose = () => this.#lose();
  }

  /** Call this when the network is back or the page was asleep. */
  check() {
    if (this.#socket === undefined) this.open();
  }

  #expectReport() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#lose(), SILENCE_MS);
  }

  #lose() {
    this.#forget();
    const longest = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** this.#attempts++);
    // Half of the pause is random, so that not all pages come back to a restarted server at the same moment.
    const pauseMs = longest / 2 + (Math.random() * longest) / 2;
    this.#timer = setTimeout(() => this.open(), pauseMs);
    this.#on.state("waiting", Date.now() + pauseMs);
  }

  #forget() {
    this.#isLive = false;
    clearTimeout(this.#timer);
    const socket = this.#socket;
    this.#socket = undefined;
    if (socket === undefined) return;
    socket.onmessage = socket.onclose = null;
    socket.close();
  }
}
