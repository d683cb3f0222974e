/**
 * The request object of handlers: the message of node:http, with parts that the app adds.
 *
 * The parts are not properties of the message, because the message may belong to others too: to a framework with parts
 * of the same names, such as `path`, `query` and `ip` of Express, to another app, or to a class of the application. So
 * handlers get a proxy that shows the parts, and everything else as it is on the message.
 */
import type { IncomingMessage } from "node:http";

/** Stands for a part that the message now has itself. */
const ON_MESSAGE = Symbol("a part of the message");

/** A message, and the parts that are shown on top of it. */
export class RequestView<Shown extends object> implements ProxyHandler<IncomingMessage> {
  /** The message with the parts: the object that handlers get. */
  readonly request: IncomingMessage & Shown;
  readonly #message: IncomingMessage;
  readonly #parts: Shown & Record<PropertyKey, unknown>;
  readonly #names: readonly PropertyKey[];
  /** The parts that other code has replaced through the view, by their names. Most requests have none. */
  #replaced: Map<PropertyKey, unknown> | undefined;

  /**
   * @param parts an object with the parts, which are read whenever they are asked for
   * @param names the names of the parts
   */
  constructor(message: IncomingMessage, parts: Shown, names: readonly PropertyKey[]) {
    this.#message = message;
    this.#parts = parts as Shown & Record<PropertyKey, unknown>;
    this.#names = names;
    this.request = new Proxy(targetOf(message, names), this) as IncomingMessage & Shown;
  }

  /** Shows the parts again that other code has replaced, except those named. */
  restore(except: readonly string[]): void {
    for (const [name, value] of this.#replaced ?? []) {
      if (value === ON_MESSAGE || !except.includes(name as string)) this.#replaced!.delete(name);
    }
  }

  get(_target: IncomingMessage, name: PropertyKey): unknown {
    if (this.#names.includes(name)) {
      if (this.#replaced === undefined || !this.#replaced.has(name)) return this.#parts[name];
      const value = this.#replaced.get(name);
      if (value !== ON_MESSAGE) return value;
    }
    const message = this.#message;
    // Getters and methods run on the message: they may use private fields, and streams compare themselves with `this`.
    const value: unknown = Reflect.get(message, name);
    return typeof value === "function" && this.#isMethod(name, value) ? this.#bind(value) : value;
  }

  set(_target: IncomingMessage, name: PropertyKey, value: unknown, receiver: unknown): boolean {
    const message = this.#message;
    // The receiver is another object when that object inherits from the view.
    if (receiver !== this.request) return Reflect.set(message, name, value, receiver);
    if (!this.#shows(name)) return Reflect.set(message, name, value);
    (this.#replaced ??= new Map()).set(name, value);
    return true;
  }

  has(_target: IncomingMessage, name: PropertyKey): boolean {
    return this.#shows(name) || name in this.#message;
  }

  defineProperty(_target: IncomingMessage, name: PropertyKey, descriptor: PropertyDescriptor): boolean {
    const isDone = Reflect.defineProperty(this.#message, name, descriptor);
    if (isDone && this.#shows(name)) this.#leaveToMessage(name);
    return isDone;
  }

  /**
   * Express makes a request its own by giving it another prototype. The parts that the prototype has, Express reads
   * from then on.
   */
  setPrototypeOf(_target: IncomingMessage, prototype: object | null): boolean {
    const isDone = Reflect.setPrototypeOf(this.#message, prototype);
    if (isDone && prototype !== null) {
      for (const name of this.#names) if (name in prototype) this.#leaveToMessage(name);
    }
    return isDone;
  }

  /** True while the view shows a part of this name, rather than a property of the message. */
  #shows(name: PropertyKey): boolean {
    return this.#names.includes(name) && this.#replaced?.get(name) !== ON_MESSAGE;
  }

  #leaveToMessage(name: PropertyKey): void {
    (this.#replaced ??= new Map()).set(name, ON_MESSAGE);
  }

  /**
   * Whether a function is a method of the message. Classes, functions that were put on the message itself, and objects
   * that can be called, such as the `app` of an Express request, are values.
   */
  #isMethod(name: PropertyKey, value: object): boolean {
    return name !== "constructor" && !Object.hasOwn(this.#message, name) && Object.keys(value).length === 0;
  }

  // deno-lint-ignore ban-types -- any method
  #bind(method: Function): (...args: unknown[]) => unknown {
    return (...args) => {
      const result: unknown = Reflect.apply(method, this.#message, args);
      return result === this.#message ? this.request : result;
    };
  }
}

/**
 * The target of the proxy. Usually it is the message. A proxy must show a property that its target has frozen, so an
 * object that inherits from the message stands in for a message with a frozen property of the name of a part.
 */
function targetOf(message: IncomingMessage, names: readonly PropertyKey[]): IncomingMessage {
  for (const name of names) {
    if (!Object.hasOwn(message, name)) continue;
    if (Object.getOwnPropertyDescriptor(message, name)!.configurable === false) return Object.create(message);
  }
  return message;
}
