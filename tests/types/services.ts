/** Services keep their types in every handler. This file only has to compile: `tsc -p tsconfig.json` checks it. */

import { type App, createApp } from "../../mod.ts";
import { type Equal, exactly } from "./exactly.ts";

class Chat {
  count(): number {
    return 0;
  }
}

interface Database {
  find(id: string): Promise<string | undefined>;
}

const database: Database = { find: (id) => Promise.resolve(id) };

const app = await createApp({
  services: {
    chat: new Chat(),
    limits: { most: 10 },
    clock: () => ({ now: (): number => 0 }),
    database: async (): Promise<Database> => await Promise.resolve(database),
  },
});

// Without an annotation, each service has its own type in controllers, handlers and hooks.
app.get("/", (_req, { chat, limits, clock, database }) => {
  exactly<Equal<typeof chat, Chat>>();
  exactly<Equal<typeof limits, { most: number }>>();
  exactly<Equal<ReturnType<typeof clock.now>, number>>();
  exactly<Equal<typeof database, Database>>();
  return { count: chat.count(), most: limits.most, now: clock.now() };
});

app.post("/", async (_req, services) => await services.database.find("1"));

app.ws("/", (socket, _req, services) => {
  exactly<Equal<typeof services.chat, Chat>>();
  socket.send(String(services.chat.count()));
});

app.ws("/hook", {
  upgrade: (_req, services) => {
    exactly<Equal<typeof services.chat, Chat>>();
    return services.limits;
  },
}, (_socket, _req, services) => services.clock.now());

// A wrong name of a service or of a member of a service does not compile.
app.get("/wrong", (_req, services) => {
  // @ts-expect-error -- there is no service "chats"
  void services.chats;
  // @ts-expect-error -- the chat has no method "counts"
  services.chat.counts();
  // @ts-expect-error -- the service is the factory's result, not the factory
  void services.clock();
  // @ts-expect-error -- the service is the promise's value, not the promise
  services.database.then(() => {});
});
app.ws("/wrong", (_socket, _req, services) => {
  // @ts-expect-error -- there is no service "chats"
  void services.chats;
});
app.ws("/wrong-hook", {
  upgrade: (_req, services) => {
    // @ts-expect-error -- there is no service "chats"
    void services.chats;
  },
}, () => {});

// `service` adds a service. A factory gets all services that were added before.
const more = app
  .service("settings", { greeting: "Hello" })
  .service("greet", ({ settings, chat }) => (name: string): string => `${settings.greeting}, ${name} (${chat.count()})`)
  .service("later", async ({ greet }) => await Promise.resolve(greet("Ada")));
more.get("/", (_req, { settings, greet, later, chat }) => {
  exactly<Equal<typeof settings, { greeting: string }>>();
  exactly<Equal<typeof greet, (name: string) => string>>();
  exactly<Equal<typeof later, string>>();
  exactly<Equal<typeof chat, Chat>>();
  return greet("Ada");
});
app.service("early", (services) => {
  // @ts-expect-error -- there is no service "settings" before it is added
  return services.settings;
});
// @ts-expect-error -- only the app that `service` has returned has the type of the new service
app.get("/early", (_req, { settings }) => settings);

// An app without services has none.
const bare: App = await createApp();
bare.get("/", (_req, services) => {
  // @ts-expect-error -- this app has no services
  void services.chat;
});

// A module that adds routes may ask for the services that it needs.
function addRoutes(site: App<{ chat: Chat }>): void {
  site.get("/count", (_req, { chat }) => chat.count());
}
addRoutes(await createApp({ services: { chat: new Chat() } }));
// @ts-expect-error -- this app has no chat
addRoutes(await createApp({ services: { limits: 1 } }));
