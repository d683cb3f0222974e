/**
 * Tracing with OpenTelemetry: a span for each handshake, one for each connection, and one for each message, which is
 * linked to that of its connection. The handlers are as they would be without tracing, except for `traced`, which makes
 * a span last as long as the work on its message. Start this program:
 *
 *     node examples/opentelemetry.ts        (or: deno run -A …, bun …)
 *
 * To try: in the console of a browser, connect with `new WebSocket("ws://localhost:3000/echo")`, send some messages,
 * such as `hello` and `fail`, and close the socket. Then open /spans. In production, an exporter such as that of OTLP
 * takes the place of the memory.
 */

import {
  context,
  type Link,
  propagation,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  trace,
} from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import { W3CTraceContextPropagator } from "@opentelemetry/core";
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from "@opentelemetry/sdk-trace-base";
import { AsyncLocalStorage } from "node:async_hooks";
import { channel, tracingChannel } from "node:diagnostics_channel";
import type { IncomingMessage } from "node:http";
import process from "node:process";
import { createApp, type DiagnosticsMessages, type HandshakeTrace, type Socket } from "../mod.ts";

// The SDK of OpenTelemetry.

const exporter = new InMemorySpanExporter();
trace.setGlobalTracerProvider(new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }));
context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
propagation.setGlobalPropagator(new W3CTraceContextPropagator());

// The spans of an app, from the channels on which the app tells of its WebSockets.

const tracer = trace.getTracer("my-app");
const handshakes = new WeakMap<HandshakeTrace, Span>();
const connections = new WeakMap<Socket, Span>();
const messages = new AsyncLocalStorage<Span>();

/** Starts a span that belongs to the trace of the client, if the request names one in its header `traceparent`. */
function startServerSpan(name: string, { headers }: IncomingMessage): Span {
  return tracer.startSpan(name, { kind: SpanKind.SERVER }, propagation.extract(ROOT_CONTEXT, headers));
}

function fail(span: Span | undefined, error: unknown): void {
  span?.recordException(error instanceof Error ? error : String(error));
  span?.setStatus({ code: SpanStatusCode.ERROR });
}

tracingChannel<HandshakeTrace>("spacenode:handshake").subscribe({
  start: (message) => void handshakes.set(message, startServerSpan("websocket handshake", message.request)),
  end() {},
  asyncStart() {},
  error: (message) => fail(handshakes.get(message), message.error),
  asyncEnd(message) {
    const { route, status } = message;
    handshakes.get(message)?.setAttributes({ "http.route": route, "http.response.status_code": status }).end();
  },
});

channel("spacenode:open").subscribe((message) => {
  const { socket, request, route } = message as DiagnosticsMessages["spacenode:open"];
  connections.set(socket, startServerSpan("websocket connection", request).setAttribute("http.route", route));
});
channel("spacenode:error").subscribe((message) => {
  const { socket, error } = message as DiagnosticsMessages["spacenode:error"];
  fail(connections.get(socket), error);
});
channel("spacenode:close").subscribe((message) => {
  const { socket, code } = message as DiagnosticsMessages["spacenode:close"];
  connections.get(socket)?.setAttribute("websocket.close_code", code).end();
});

// A connection may last for days, so a message is no child of its span, but has a trace of its own with a link to it.
channel("spacenode:message").bindStore(messages, (message) => {
  const { socket, data } = message as DiagnosticsMessages["spacenode:message"];
  const connection = connections.get(socket);
  const links: Link[] = connection === undefined ? [] : [{ context: connection.spanContext() }];
  const attributes = { "messaging.message.body.size": Buffer.byteLength(data) };
  return tracer.startSpan("websocket message", { kind: SpanKind.CONSUMER, root: true, links, attributes });
});

/** Makes a listener of messages end the span of its message when it is done. What it does meanwhile has child spans. */
function traced<Args extends unknown[]>(listener: (...args: Args) => unknown): (...args: Args) => Promise<void> {
  return async (...args) => {
    const span = messages.getStore()!;
    try {
      await context.with(trace.setSpan(context.active(), span), () => listener(...args));
    } catch (error) {
      fail(span, error);
      throw error;
    } finally {
      span.end();
    }
  };
}

// The app.

const app = await createApp({ signals: true });

app.ws("/echo", (socket) => {
  const echo = traced(async (data: string | Buffer) => {
    if (data === "fail") throw new Error("Nobody wants to hear that");
    await tracer.startActiveSpan("work", async (work) => {
      await new Promise((resolve) => setTimeout(resolve, 5));
      work.end();
    });
    socket.send(data);
  });
  socket.on("message", echo);
});

app.get("/spans", () =>
  exporter.getFinishedSpans().map((span) => ({
    name: span.name,
    id: span.spanContext().spanId,
    traceId: span.spanContext().traceId,
    parent: span.parentSpanContext?.spanId,
    links: span.links.map((link) => link.context.spanId),
    attributes: span.attributes,
    status: SpanStatusCode[span.status.code],
    errors: span.events.map(({ attributes }) => attributes?.["exception.message"]),
    durationMs: span.duration[0] * 1_000 + span.duration[1] / 1_000_000,
  })));

await app.listen(Number(process.env.PORT ?? 3000));
console.log(`Traced: ${app.url}/echo, and its spans: ${app.url}/spans`);
