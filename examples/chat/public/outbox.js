/**
 * The messages that the server has not echoed yet, in order. They are kept through reconnects and reloads. One message
 * is on its way at a time, and the next one leaves when the echo has come, so that no message is lost and none
 * overtakes another.
 */

import { untilTabCloses } from "./storage.js";

export class Outbox {
  #name;
  #messages;
  #send;
  #onItsWay;
  #timer;

  constructor(room, send) {
    this.#name = `outbox.${room}`;
    this.#messages = untilTabCloses.get(this.#name) ?? [];
    this.#send = send;
  }

  get messages() {
    return this.#messages;
  }

  add(message) {
    this.#keep([...this.#messages, message]);
    this.flush();
  }

  /** Removes a message that the server has, or will never accept. */
  remove(id) {
    if (this.#onItsWay === id) this.#onItsWay = undefined;
    this.#keep(this.#messages.filter((message) => message.id !== id));
    this.flush();
  }

  /** Sends the first message, unless a message is on its way. */
  flush() {
    const [message] = this.#messages;
    if (!message || this.#onItsWay || this.#timer) return;
    if (this.#send({ type: "say", id: message.id, text: message.text })) this.#onItsWay = message.id;
  }

  retryAfter(pauseMs) {
    this.hold();
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.flush();
    }, pauseMs);
  }

  /** Call this when the connection is lost. The message that was on its way waits again. */
  hold() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#onItsWay = undefined;
  }

  #keep(messages) {
    this.#messages = messages;
    untilTabCloses.set(this.#name, messages);
  }
}
