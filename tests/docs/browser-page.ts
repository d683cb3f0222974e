/** Runs the code of a page that is meant for a browser, with the WebSocket and the fetch of the test's runtime. */
import { onTestFinished } from "vitest";

/** A page in a browser that runs code. */
export class BrowserPage {
  /** What the code has written to the console. */
  readonly logged: unknown[] = [];
  readonly #port: number;
  readonly #cookie: string;
  readonly #sockets: WebSocket[] = [];
  #isOpen = true;

  /**
   * @param port where the page has come from, and where all of its connections go
   * @param cookie the Cookie header of its WebSockets
   */
  constructor(port: number, cookie: string = "") {
    this.#port = port;
    this.#cookie = cookie;
    onTestFinished(() => this.close());
  }

  /** Runs code in the page. It finds these names besides those of a browser. */
  run(code: string, names: Record<string, unknown> = {}): void {
    const globals = { ...this.#globals(), ...names };
    new Function(...Object.keys(globals), `"use strict";\n${code}`)(...Object.values(globals));
  }

  close(): void {
    this.#isOpen = false;
    for (const socket of this.#sockets) socket.close();
  }

  #globals(): Record<string, unknown> {
    const port = this.#port;
    const at = (target: string, scheme: string): URL => {
      const { pathname, search } = new URL(target, "http://localhost");
      return new URL(`${scheme}://127.0.0.1:${port}${pathname}${search}`);
    };
    const sockets = this.#sockets;
    // The WebSockets of all runtimes take headers, which those of browsers do not.
    const headers: Record<string, string> = this.#cookie === "" ? {} : { Cookie: this.#cookie };
    class PageSocket extends WebSocket {
      constructor(target: string, protocols: string | string[] = []) {
        super(at(target, "ws"), { protocols, headers } as unknown as string[]);
        sockets.push(this);
        // Node 22 emits `error` alone when it could not connect. A browser emits `close` in any case.
        let isClosed = false;
        this.addEventListener("close", () => void (isClosed = true));
        this.addEventListener(
          "error",
          () => setTimeout(() => void (isClosed || this.dispatchEvent(new Event("close"))), 50),
        );
      }
    }
    return {
      WebSocket: PageSocket,
      fetch: (target: string, init: RequestInit = {}) =>
        fetch(at(target, "http"), { ...init, headers: { ...init.headers, Connection: "close" } }),
      // Pages wait for seconds before they connect again. Here they need not.
      setTimeout: (task: () => void) => setTimeout(() => void (this.#isOpen && task()), 20),
      console: { log: (...args: unknown[]) => this.logged.push(...args) },
    };
  }
}
