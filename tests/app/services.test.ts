/** Services: how and in which order they are made, which handlers get them, and how they are disposed of. */

import { setImmediate as nextTurn } from "node:timers/promises";
import { inspect } from "node:util";
import { describe, expect, onTestFinished, test } from "vitest";
import { type App, createApp } from "../../mod.ts";
import { ask, connectTo, errorEntry, listeningApp, recordingLogger } from "../support/app.ts";
import { close } from "../support/frames.ts";

/** An app that does not listen yet. */
async function silentApp<Services extends object>(services: Services): Promise<App> {
  const app = await createApp({ logger: false, services });
  onTestFinished(async () => void await app.close());
  return app as App;
}

const listen = (app: App): Promise<App> => app.listen({ port: 0, host: "127.0.0.1" });

describe("making", () => {
  test("values stay as they are, and factories are replaced by what they make, at once or later", async () => {
    class Chat {}
    const chat = new Chat();
    const got = Promise.withResolvers<Record<string, unknown>>();
    const app = await listeningApp({
      services: { chat, nothing: null, zero: 0, list: [1], now: () => 42, later: async () => await nextTurn("made") },
    }, (app) => app.get("/", (_req, services) => got.resolve({ ...services })));
    await ask(app, "/");
    expect(await got.promise).toEqual({ chat, nothing: null, zero: 0, list: [1], now: 42, later: "made" });
    expect((await got.promise).chat).toBe(chat);
  });

  test("begins with listen, which waits for it, and runs each factory once, one after the other", async () => {
    const steps: string[] = [];
    const app = await silentApp({
      database: async () => {
        steps.push("database begins");
        await nextTurn();
        await nextTurn();
        steps.push("database is there");
        return "db";
      },
      cache: ({ database }: { database: string }) => {
        steps.push(`cache over ${database}`);
        return "cache";
      },
    });
    await nextTurn();
    expect(steps).toEqual([]);
    const listening = listen(app);
    await Promise.all([app.inject("/").catch(() => {}), app.inject(new Request("http://app/")), listening]);
    steps.push("listens");
    await app.inject(new Request("http://app/"));
    expect(steps).toEqual(["database begins", "database is there", "cache over db", "listens"]);
  });

  test("a service that an earlier factory needs is made on demand, and only once", async () => {
    const made: string[] = [];
    const make = (name: string, ...needs: string[]) => (services: Record<string, string>): string => {
      const parts = needs.map((need) => services[need]);
      made.push(name);
      return `${name}(${parts.join()})`;
    };
    const services = { a: make("a", "c", "b"), b: make("b", "d"), c: make("c", "d"), d: make("d") };
    let seen: unknown;
    await listeningApp({ services }, (app) => app.get("/", (_req, services) => seen = services))
      .then((app) => ask(app, "/"));
    expect(made).toEqual(["d", "c", "b", "a"]);
    expect({ ...seen as object }).toEqual({ a: "a(c(d()),b(d()))", b: "b(d())", c: "c(d())", d: "d()" });
  });

  test("a factory that app.service adds sees all services before it", async () => {
    const app = (await createApp({ logger: false, services: { name: "chat" } }))
      .service("greeting", async ({ name }) => await nextTurn(`Welcome to the ${name}`))
      .service("greet", ({ greeting }) => (who: string) => `${greeting}, ${who}`)
      .get("/", (_req, { greet }) => greet("Ada"));
    expect(await (await app.inject(new Request("http://app/"))).text()).toBe("Welcome to the chat, Ada");
    await app.close();
  });

  test("a factory can test which services exist", async () => {
    let has: boolean[] = [];
    const app = await silentApp({
      asker: (services: object) => has = ["asker", "other", "none", "toString"].map((name) => name in services),
      other: () => 1,
    });
    await listen(app);
    expect(has).toEqual([true, true, false, false]);
  });
});

describe("mistakes", () => {
  test.each<[string, Record<string, (services: Record<string, unknown>) => unknown>, string]>([
    ["of one", { self: (services) => services.self }, "self → self"],
    ["of two", { a: ({ b }) => b, b: ({ a }) => a }, "a → b → a"],
    ["of three, which others lead to", {
      start: ({ a }) => a,
      a: ({ b }) => b,
      b: ({ c }) => c,
      c: ({ a }) => a,
    }, "a → b → c → a"],
    ["that an asynchronous one closes", {
      a: async (services) => {
        await nextTurn();
        return services.b;
      },
      b: ({ a }) => a,
    }, "a → b → a"],
  ])("a circle %s is an error that names its chain", async (_name, services, chain) => {
    const app = await silentApp(services);
    await expect(listen(app)).rejects.toThrow(`Services need each other in a circle: ${chain}`);
    expect(app.address).toBeUndefined();
  });

  test("the error for a service that does not exist names it, and those that exist", async () => {
    const app = await silentApp({ chat: {}, cache: ({ dataBase }: { dataBase: unknown }) => dataBase, database: {} });
    const error = await listen(app).catch((error: Error) => error) as Error;
    expect(error).toBeInstanceOf(TypeError);
    expect(error.message).toContain('There is no service "dataBase"');
    for (const name of ["chat", "database", "cache"]) expect(error.message).toContain(name);
    await expect(listen(await silentApp({ a: ({ b }: { b: unknown }) => b }))).rejects.toThrow(/no service "b".* a$/);
  });

  test("the same error is thrown in a handler, whose socket it closes, and in an app without services", async () => {
    const { logger, entries } = recordingLogger();
    const app = await listeningApp<Record<string, object>>(
      { logger },
      (app) => app.get("/", (_req, services) => services.chat).ws("/", (_socket, _req, { chat }) => chat.toString()),
    );
    expect((await ask(app, "/")).status).toBe(500);
    const client = await connectTo(app);
    expect((await client.nextFrame()).payload.readUInt16BE(0)).toBe(1011);
    expect(entries.map(({ args }) => String(args[0]))).toEqual(
      Array(2).fill(expect.stringMatching(/: TypeError: There is no service "chat"; there are none$/)),
    );
  });

  test.each<[string, unknown]>([["empty", ""], ["a number", 42], ["missing", undefined]])(
    "a name that is %s is refused",
    async (_name, name) => {
      const app = await silentApp({});
      expect(() => app.service(name as string, {})).toThrow(TypeError);
      expect(() => app.service(name as string, {})).toThrow(/name of a service is a string that is not empty; got/);
    },
  );

  test("a name that is taken is refused, for a value and for a factory", async () => {
    const app = await silentApp({ chat: {}, clock: () => Date.now });
    app.service("store", {});
    for (const name of ["chat", "clock", "store"]) {
      for (const service of [{}, () => ({})]) {
        expect(() => app.service(name, service)).toThrow(`There is a service "${name}" already`);
      }
    }
  });

  test("a service cannot be added once the services are made", async () => {
    const listening = await listeningApp({}, () => {});
    expect(() => listening.service("chat", {})).toThrow(/service "chat" comes too late: add services before/);
    const injected = await silentApp({});
    await injected.inject(new Request("http://app/"));
    expect(() => injected.service("chat", {})).toThrow(/too late/);
  });

  test.each([
    ["throws", (): never => {
      throw new Error("no database");
    }],
    ["rejects", async (): Promise<never> => {
      await nextTurn();
      throw new Error("no database");
    }],
  ])("when a factory %s, listen rejects with its error, and the services made so far are disposed of", async (
    _name,
    database,
  ) => {
    let disposed = 0;
    let later = 0;
    const app = await silentApp({ first: () => ({ dispose: () => disposed++ }), database, last: () => later++ });
    await expect(listen(app)).rejects.toThrow("no database");
    expect(app.address).toBeUndefined();
    await expect(app.inject("/")).rejects.toThrow("no database");
    expect([disposed, later]).toEqual([0, 0]);
    await app.close();
    expect([disposed, later]).toEqual([1, 0]);
  });

  test("an asynchronous service cannot be made on demand, and the error says what to do", async () => {
    const app = await silentApp({
      cache: ({ database }: { database: unknown }) => database,
      database: async () => await nextTurn("db"),
    });
    await expect(listen(app)).rejects.toThrow(
      'The service "database" is made asynchronously: add it before "cache", which needs it',
    );
  });

  test("an asynchronous service is made once, even if a factory asked too early and does without it", async () => {
    let made = 0;
    const app = await silentApp({
      cache: (services: { database: unknown }) => {
        try {
          return services.database;
        } catch {
          return "no cache";
        }
      },
      database: async () => {
        made++;
        return await nextTurn("db");
      },
    });
    await listen(app);
    expect(made).toBe(1);
  });
});

describe("the object that handlers get", () => {
  test("is the same frozen object for handlers, upgrade hooks and controllers, over the wire and injected", async () => {
    const got: unknown[] = [];
    const app = await listeningApp({ services: { chat: {}, later: async () => await nextTurn({}) } }, (app) =>
      app
        .get("/", (_req, services) => void got.push(services))
        .ws("/", { upgrade: (_req, services) => void got.push(services) }, (_socket, _req, services) => {
          got.push(services);
        }));
    await ask(app, "/");
    await connectTo(app);
    await (await app.inject("/")).close();
    await app.inject(new Request("http://app/"));
    expect(got.length).toBe(6);
    expect(new Set(got).size).toBe(1);
    expect(Object.isFrozen(got[0])).toBe(true);
    expect(() => (got[0] as Record<string, unknown>).chat = 1).toThrow(TypeError);
  });

  test("can be inspected, copied and sent like any object", async () => {
    let services: object = {};
    const app = await listeningApp(
      { services: { a: 1, b: () => "two" } },
      (app) => app.get("/", (_req, all) => services = all),
    );
    expect(JSON.parse((await ask(app, "/")).body)).toEqual({ a: 1, b: "two" });
    expect(inspect(services)).toContain("two");
    expect(String(services)).toBe("[object Object]");
    expect(await Promise.resolve(services)).toBe(services);
    expect({ ...services }).toEqual({ a: 1, b: "two" });
    expect(["a" in services, "c" in services, Object.hasOwn(services, "b")]).toEqual([true, false, true]);
  });
});

describe("disposing", () => {
  test("goes in reverse order, awaits each service and finds all three methods, and a failure is logged", async () => {
    const { logger, entries } = recordingLogger();
    const steps: string[] = [];
    const failure = new Error("will not go");
    class Later {
      async [Symbol.asyncDispose](): Promise<void> {
        steps.push("later begins");
        await nextTurn();
        await nextTurn();
        steps.push(this instanceof Later ? "later is done" : "lost its this");
      }
      dispose(): void {
        steps.push("the wrong one");
      }
    }
    const now = { [Symbol.dispose]: () => void steps.push("now"), dispose: () => void steps.push("the wrong one") };
    const app = await createApp({
      logger,
      services: {
        plain: { dispose: () => void steps.push("plain") },
        fails: () => ({
          dispose() {
            steps.push("fails");
            throw failure;
          },
        }),
        none: { name: "nothing to dispose of" },
        rejects: { dispose: () => Promise.reject(failure) },
        later: async () => await nextTurn(new Later()),
        now,
      },
    });
    await listen(app);
    await app.close();
    // Values were ready before any factory had run, so that factories could use them: they go last.
    expect(steps).toEqual(["later begins", "later is done", "fails", "now", "plain"]);
    const logged = ["fails", "rejects"].map((name) =>
      errorEntry(`service "${name}" has failed to dispose of itself`, failure)
    );
    expect(entries).toEqual(logged);
    await app.close();
    expect(steps.length).toBe(5);
  });

  test("comes after the last socket and the last request have ended", async () => {
    const steps: string[] = [];
    const asked = Promise.withResolvers<void>();
    const app = await listeningApp({ services: { store: { dispose: () => void steps.push("disposed") } } }, (app) =>
      app
        .ws("/", (socket) => void socket.on("close", () => steps.push("socket closed")))
        .get("/", async () => {
          asked.resolve();
          await nextTurn();
          await nextTurn();
          steps.push("responded");
        }));
    const client = await connectTo(app);
    const response = app.inject(new Request("http://app/"));
    await asked.promise;
    const closing = app.close();
    expect((await client.nextFrame()).payload.readUInt16BE(0)).toBe(1001);
    client.send(close(1001));
    await Promise.all([closing, response]);
    expect(steps.at(-1)).toBe("disposed");
    expect(steps.length).toBe(3);
  });

  test("includes a service that a factory makes during close", async () => {
    const made = Promise.withResolvers<{ dispose(): void }>();
    let disposed = 0;
    const app = await createApp({ logger: false, services: { slow: () => made.promise } });
    const listening = listen(app).catch(() => {});
    const closing = app.close();
    made.resolve({ dispose: () => void disposed++ });
    await Promise.all([listening, closing]);
    expect(disposed).toBe(1);
  });

  test("includes the values of an app that never listened, which makes no service for that", async () => {
    const steps: string[] = [];
    const app = await createApp({
      services: { value: { dispose: () => void steps.push("value") }, factory: () => void steps.push("made") },
    });
    await app.close();
    expect(steps).toEqual(["value"]);
  });
});
