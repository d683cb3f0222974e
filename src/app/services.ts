import type { Logger } from "./common/logger.ts";
import { show } from "./common/show.ts";
import { isPromise } from "./common/validate.ts";

/** Makes a service from those that are there already. It runs once. */
export type ServiceFactory<Services, Service> = (services: Services) => Service | Promise<Service>;

/**
 * Services as `createApp` takes them: values, or factories of values. In an object literal a factory's type cannot depend on its neighbours', so
 * what it gets is untyped; `app.service` adds one whose factory sees the types of all before it.
 */
export type ServiceDefinitions<Services> = {
  // deno-lint-ignore no-explicit-any -- see above
  [Name in keyof Services]: Services[Name] | ServiceFactory<any, Services[Name]>;
};

type AnyFactory = (services: object) => unknown;

/**
 * The services of an app: values, and factories that run once, in the order in which they were added. A factory sees all that were added
 * before it as ready, and one that was added later is made on demand, unless it has to be awaited.
 */
export class ServiceRegistry {
  readonly #factories = new Map<string, AnyFactory>();
  /** In the order in which they became ready, so that they can be disposed of in reverse. */
  readonly #ready = new Map<string, unknown>();
  /** The factories that are running, outermost first: the chain of a cycle. */
  readonly #running: string[] = [];
  /** What asynchronous factories have promised: each runs once, also when somebody asked for it too early. */
  readonly #promised = new Map<string, PromiseLike<unknown>>();
  #result: Promise<object> | undefined;
  readonly #logger: Logger;

  constructor(definitions: object, logger: Logger) {
    this.#logger = logger;
    for (const [name, definition] of Object.entries(definitions)) this.add(name, definition);
  }

  /** @throws TypeError for a name that is none or is taken */
  add(name: string, definition: unknown): void {
    if (typeof name !== "string" || name === "") {
      throw new TypeError(`The name of a service is a string that is not empty; got ${show(name)}`);
    }
    if (this.#factories.has(name) || this.#ready.has(name)) {
      throw new TypeError(`There is a service ${show(name)} already`);
    }
    if (this.#result !== undefined) {
      throw new Error(`The service ${show(name)} comes too late: add services before the app listens`);
    }
    if (typeof definition === "function") this.#factories.set(name, definition as AnyFactory);
    else this.#ready.set(name, definition);
  }

  /** Makes all services and gives them to handlers: a frozen object that knows what it does not have. Later calls give the same. */
  makeAll(): Promise<object> {
    return this.#result ??= this.#makeAll();
  }

  /** Disposes of all that were made, the last first. One that fails is logged, and the others still have their turn. */
  async dispose(): Promise<void> {
    // A factory that still runs would otherwise make what nobody disposes of.
    await this.#result?.catch(() => {});
    for (const [name, service] of [...this.#ready].reverse()) {
      try {
        await findDispose(service)?.call(service);
      } catch (error) {
        this.#logger.error(`SpaceNode: the service ${show(name)} has failed to dispose of itself:`, error);
      }
    }
    this.#ready.clear();
  }

  async #makeAll(): Promise<object> {
    for (const name of this.#factories.keys()) {
      if (this.#ready.has(name)) continue;
      const product = this.#promised.get(name) ?? this.#run(name);
      if (!isPromise(product)) continue;
      this.#running.push(name);
      try {
        this.#ready.set(name, await product);
      } finally {
        this.#running.pop();
      }
    }
    return Object.freeze(Object.assign(Object.create(this.#unknownServiceGuard()), Object.fromEntries(this.#ready)));
  }

  /** Runs a factory. What it makes at once is ready; a promise is the caller's to await. */
  #run(name: string): unknown {
    this.#running.push(name);
    try {
      const product = this.#factories.get(name)!(this.#lookup());
      if (isPromise(product)) this.#promised.set(name, product);
      else this.#ready.set(name, product);
      return product;
    } finally {
      this.#running.pop();
    }
  }

  /** What a factory sees: each service by its name, made on demand. */
  #lookup(): object {
    const has = (name: string): boolean => this.#ready.has(name) || this.#factories.has(name);
    return new Proxy(Object.freeze({}), {
      has: (_target, name) => typeof name === "string" && has(name),
      get: (_target, name) => typeof name === "string" ? this.#get(name) : undefined,
    });
  }

  #get(name: string): unknown {
    if (this.#ready.has(name)) return this.#ready.get(name);
    if (!this.#factories.has(name)) return this.#refuseUnknown(name);
    const at = this.#running.indexOf(name);
    if (at !== -1) {
      throw new Error(`Services need each other in a circle: ${[...this.#running.slice(at), name].join(" → ")}`);
    }
    const product = this.#promised.get(name) ?? this.#run(name);
    if (!isPromise(product)) return product;
    product.then(undefined, () => {}); // awaited in its turn, or not at all: the error below is the one to tell
    const asker = this.#running.at(-1);
    throw new Error(`The service ${show(name)} is made asynchronously: add it before ${show(asker)}, which needs it`);
  }

  /** The prototype of what handlers get. A name that no service has is a mistake, and said to be one. */
  #unknownServiceGuard(): object {
    return new Proxy(Object.freeze({}), {
      has: () => false,
      get: (_target, name) => typeof name === "string" ? this.#refuseUnknown(name) : undefined,
    });
  }

  #refuseUnknown(name: string): unknown {
    // What every object has, and what await and JSON.stringify ask of every object.
    if (name in Object.prototype) return Reflect.get(Object.prototype, name);
    if (name === "then" || name === "toJSON") return undefined;
    const names = [...new Set([...this.#ready.keys(), ...this.#factories.keys()])];
    throw new TypeError(
      `There is no service ${show(name)}; there ${names.length === 0 ? "are none" : `is ${names.join(", ")}`}`,
    );
  }
}

type Dispose = () => unknown;

/** The first of `Symbol.asyncDispose`, `Symbol.dispose` and `dispose` that a service has. */
function findDispose(service: unknown): Dispose | undefined {
  if ((typeof service !== "object" && typeof service !== "function") || service === null) return undefined;
  const { [Symbol.asyncDispose]: later, [Symbol.dispose]: now, dispose } = service as Record<PropertyKey, unknown>;
  return [later, now, dispose].find((candidate): candidate is Dispose => typeof candidate === "function");
}
