/** A WebSocket that reconnects by itself, after longer and longer pauses, until it is stopped. */

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 15_000;
const OPENING_TIMEOUT_MS = 10_000;
const SILENCE_BEFORE_PING_MS = 25_000;
const PONG_TIMEOUT_MS = 8_000;

export class Connection {
  #url;
  #on;
  #socket;
  #attempts = 0;
  #timer;
  /** True once the server has let us in. */
  isSettled = false;

  /**
   * - `on.state(state, retryAt)` is called with "connecting", "open", "waiting" (until `retryAt`) and "closed".
   * - `on.open()` is called when the socket is open, and may send at once.
   * - `on.message(object)` is called with each message of the server.
   * - `on.lost(code)` is called when a connection is over, and returns false to stop reconnecting.
   */
  constructor(url, on) {
    this.#url = url;
    this.#on = on;
  }

  open() {
    this.#forget();
    this.#on.state("connecting");
    const socket = new WebSocket(this.#url);
    this.#socket = socket;
    this.#timer = setTimeout(() => this.#lose(1006), OPENING_TIMEOUT_MS);
    socket.onopen = () => {
      this.#expectSilence();
      this.#on.open();
    };
    socket.onmessage = (event) => {
      this.#expectSilence();
      this.#on.message(JSON.parse(event.data));
    };
    socket.onclose = (event) => this.#lose(event.code);
  }

  /** Call this once the server has let us in. The next pause is then a short one again. */
  settled() {
    this.isSettled = true;
    this.#attempts = 0;
    this.#on.state("open");
  }

  send(message) {
    if (this.#socket?.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(JSON.stringify(message));
    return true;
  }

  /**
   * Call this when the network has changed or the page was asleep, to find out at once whether the connection works.
   */
  check() {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#ping();
    else if (this.#socket?.readyState !== WebSocket.CONNECTING) this.open();
  }

  close() {
    this.#forget();
    this.#on.state("closed");
  }

  #expectSilence() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#ping(), SILENCE_BEFORE_PING_MS);
  }

  #ping() {
    clearTimeout(this.#timer);
    this.send({ type: "ping" });
    this.#timer = setTimeout(() => this.#lose(1006), PONG_TIMEOUT_MS);
  }

  #lose(code) {
    this.#forget();
    if (this.#on.lost(code) === false) {
      this.#on.state("closed");
      return;
    }
    const longest = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** this.#attempts++);
    // Half of the pause is random, so that not all clients reconnect to a restarted server at the same moment.
    const pauseMs = longest / 2 + (Math.random() * longest) / 2;
    this.#timer = setTimeout(() => this.open(), pauseMs);
    this.#on.state("waiting", Date.now() + pauseMs);
  }

  #forget() {
    this.isSettled = false;
    clearTimeout(this.#timer);
    const socket = this.#socket;
    this.#socket = undefined;
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
  }
}
