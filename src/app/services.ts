/** The services of an app: how they are declared, made, handed to handlers and disposed of. */
import { entryOf, type Logger } from "./common/logger.ts";
import { show } from "./common/show.ts";
import { isPromise } from "./common/validate.ts";

/**
 * Makes a service. The app calls it once, before the app listens, with the services that were added before this one. It
 * may return a promise.
 */
export type ServiceFactory<Services, Service> = (services: Services) => Service | Promise<Service>;

/**
 * Services as {@link createApp} takes them: values, or factories of values, by name.
 *
 * In an object literal, the type of a factory cannot depend on the types of its neighbours. Therefore the argument of
 * such a factory has no type. A factory that is added with {@link App.service} sees the types of all services before
 * it.
 */
export type ServiceDefinitions<Services> = {
  // deno-lint-ignore no-explicit-any -- see above
  [Name in keyof Services]: Services[Name] | ServiceFactory<any, Services[Name]>;
};

type AnyFactory = (services: object) => unknown;

/**
 * The services of an app. Factories run once, in the order in which they were added. To a factory, all services that
 * were added before it are ready. A service that was added later is made when the factory asks for it, unless its
 * factory is asynchronous: that is an error.
 */
export class ServiceRegistry {
  readonly #factories = new Map<string, AnyFactory>();
  /** The services in the order in which they became ready, so that they can be disposed of in reverse. */
  readonly #ready = new Map<string, unknown>();
  /**
   * The names of the factories that are running, outermost first. If they need each other in a circle, this is the
   * circle.
   */
  readonly #running: string[] = [];
  /**
   * The promises of asynchronous factories, kept so that a factory runs once even if another factory asked for it too
   * early.
   */
  readonly #promised = new Map<string, PromiseLike<unknown>>();
  #result: Promise<object> | undefined;
  readonly #logger: Logger;

  constructor(definitions: object, logger: Logger) {
    this.#logger = logger;
    for (const [name, definition] of Object.entries(definitions)) this.add(name, definition);
  }

  /** @throws TypeError if the name is empty or taken, Error if the services have been made already */
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

  /**
   * Makes all services. Later calls return the same promise.
   *
   * @returns a frozen object with the services, which handlers get; reading a name that is not a service throws
   */
  makeAll(): Promise<object> {
    return this.#result ??= this.#makeAll();
  }

  /**
   * Disposes of all services: the one that became ready last comes first. If one fails, the error is logged, and the
   * others are still disposed of.
   */
  async dispose(): Promise<void> {
    // A factory that is still running would otherwise make a service that nobody disposes of.
    await this.#result?.catch(() => {});
    for (const [name, service] of [...this.#ready].reverse()) {
      try {
        await findDispose(service)?.call(service);
      } catch (error) {
        this.#logger.error(entryOf(`SpaceNode: the service ${show(name)} has failed to dispose of itself`, error));
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

  /** Runs a factory. A result that is not a promise is a ready service. A promise is left to the caller to await. */
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

  /** The object that a factory gets: it has each service by its name, and makes it when it is first read. */
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
    // `#makeAll` awaits this promise in its turn, or never. Its rejection must not be reported as unhandled in the
    // meantime.
    product.then(undefined, () => {});
    const asker = this.#running.at(-1);
    throw new Error(`The service ${show(name)} is made asynchronously: add it before ${show(asker)}, which needs it`);
  }

  /**
   * The prototype of the object that handlers get. It throws for a name that no service has, because that is a mistake.
   */
  #unknownServiceGuard(): object {
    return new Proxy(Object.freeze({}), {
      has: () => false,
      get: (_target, name) => typeof name === "string" ? this.#refuseUnknown(name) : undefined,
    });
  }

  #refuseUnknown(name: string): unknown {
    // Members of every object, and those that `await` and `JSON.stringify` look for in every object, are no mistakes.
    if (name in Object.prototype) return Reflect.get(Object.prototype, name);
    if (name === "then" || name === "toJSON") return undefined;
    const names = [...new Set([...this.#ready.keys(), ...this.#factories.keys()])];
    throw new TypeError(
      `There is no service ${show(name)}; there ${names.length === 0 ? "are none" : `is ${names.join(", ")}`}`,
    );
  }
}

type Dispose = () => unknown;

/**
 * Finds the method that disposes of a service: the first of `Symbol.asyncDispose`, `Symbol.dispose` and `dispose` that
 * it has.
 */
function findDispose(service: unknown): Dispose | undefined {
  if ((typeof service !== "object" && typeof service !== "function") || service === null) return undefined;
  const { [Symbol.asyncDispose]: later, [Symbol.dispose]: now, dispose } = service as Record<PropertyKey, unknown>;
  return [later, now, dispose].find((candidate): candidate is Dispose => typeof candidate === "function");
}
