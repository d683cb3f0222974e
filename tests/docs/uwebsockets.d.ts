// The part of uWebSockets.js that a page uses. The package itself cannot be installed from npm.

declare module "uWebSockets.js" {
  interface Context {
    readonly isContext: unique symbol;
  }

  interface HttpRequest {
    getHeader(lowerCaseName: string): string;
    getParameter(index: number): string | undefined;
  }

  interface HttpResponse {
    writeStatus(status: string): HttpResponse;
    end(body?: string): HttpResponse;
    upgrade<Data>(data: Data, key: string, protocol: string, extensions: string, context: Context): void;
  }

  interface WebSocket<Data> {
    getUserData(): Data;
    subscribe(topic: string): boolean;
  }

  interface Behavior<Data> {
    upgrade?: (res: HttpResponse, req: HttpRequest, context: Context) => void | Promise<void>;
    open?: (ws: WebSocket<Data>) => void | Promise<void>;
    message?: (ws: WebSocket<Data>, message: ArrayBuffer, isBinary: boolean) => void | Promise<void>;
    close?: (ws: WebSocket<Data>, code: number, message: ArrayBuffer) => void;
  }

  interface App {
    ws<Data>(pattern: string, behavior: Behavior<Data>): App;
    get(pattern: string, handler: (res: HttpResponse, req: HttpRequest) => void | Promise<void>): App;
    publish(topic: string, message: string): boolean;
    listen(port: number, onListen: (listenSocket: object | false) => void): App;
  }

  const uWS: { App(): App };
  export default uWS;
}
