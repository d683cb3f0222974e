/** Shows who is typing, and tells the others when we are typing. */

import { typingSentence } from "./words.js";

const TELL_EVERY_MS = 2_000;
const PAUSE_MS = 4_000;
/**
 * A little longer than PAUSE_MS. After this time, a person whose "stopped" does not come no longer counts as typing.
 */
const BELIEVE_MS = 6_000;

/** Tells the others from time to time that we are typing, and once that we have stopped. */
export class OwnTyping {
  #send;
  #toldAt = 0;
  #timer;

  constructor(send) {
    this.#send = send;
  }

  typed() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.stopped(), PAUSE_MS);
    if (Date.now() - this.#toldAt < TELL_EVERY_MS) return;
    if (this.#send({ type: "typing", on: true })) this.#toldAt = Date.now();
  }

  stopped() {
    clearTimeout(this.#timer);
    if (this.#toldAt === 0) return;
    this.#toldAt = 0;
    this.#send({ type: "typing", on: false });
  }
}

export class OthersTyping {
  #line;
  #text;
  #typing = new Map();

  constructor(line, text) {
    this.#line = line;
    this.#text = text;
  }

  set(person, on) {
    clearTimeout(this.#typing.get(person.id)?.timer);
    this.#typing.delete(person.id);
    if (on) {
      const timer = setTimeout(() => this.set(person, false), BELIEVE_MS);
      this.#typing.set(person.id, { name: person.name, timer });
    }
    this.#show();
  }

  clear() {
    for (const { timer } of this.#typing.values()) clearTimeout(timer);
    this.#typing.clear();
    this.#show();
  }

  #show() {
    const names = [...this.#typing.values()].map((entry) => entry.name);
    this.#line.classList.toggle("on", names.length > 0);
    this.#text.textContent = typingSentence(names);
  }
}
