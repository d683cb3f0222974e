/** An app with one route that has an `upgrade` hook, and its responses to handshakes. */

import type { App, AppOptions, RouteOptions } from "../../mod.ts";
import { listeningApp, portOf } from "./app.ts";
import { rawRequest, upgradeRequest } from "./raw-client.ts";

/** An `upgrade` hook of any route. */
export type Hook = NonNullable<RouteOptions<object, unknown>["upgrade"]>;
/** The headers that a client adds to its handshake. */
export type Headers = Record<string, string>;

/** An app whose route `/` has a hook, and whose handler sends the data and the subprotocol of the socket as JSON. */
export function appWith(hook: Hook, options: AppOptions = {}, route: object = {}): Promise<App> {
  return listeningApp(options, (app) =>
    app.ws("/", { ...route, upgrade: hook }, (socket) => {
      socket.send(JSON.stringify([socket.data ?? null, socket.protocol]));
    }));
}

/** Sends a handshake, and gives the whole response of the app. */
export function handshake(app: App, headers: Headers = {}, path: string = "/"): Promise<string> {
  return rawRequest(portOf(app), upgradeRequest(path, headers));
}

/** The body of a response: everything behind its head. */
export function bodyOf(response: string): string {
  return response.slice(response.indexOf("\r\n\r\n") + 4);
}
