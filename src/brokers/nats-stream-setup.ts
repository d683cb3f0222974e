/** Finds the stream that has the histories of a prefix, makes it, and checks that it fits. */
import type { NatsJetStreamManager, NatsStreamConfig, NatsStreamInfo } from "./nats-client.ts";
import { isStreamMissing } from "./nats-errors.ts";

/** What a stream keeps, or has to keep. */
export interface StreamNeeds {
  /** The most messages of one topic. */
  readonly size: number;
  readonly ageMs: number;
}

type FoundConfig = NatsStreamInfo["config"];

/** Tells that a stream was made by a broker, which may raise its limits. */
const DESCRIPTION = "Histories of topics, made by spacenode";
const NS_PER_MS = 1e6;
/** The server refuses a name of more than 255 characters. */
const MAX_NAME_LENGTH = 128;
/** The pause between two looks at a stream that the server is still making. */
const LOOK_INTERVAL_MS = 10;
/** A server that takes longer than these looks take, which is five seconds, is not waited for. */
const MAX_LOOKS = 500;

/** A stream that fits. */
export interface FittingStream {
  readonly name: string;
  readonly kept: StreamNeeds;
  /** When the stream was made, in milliseconds. */
  readonly created: number;
}

/**
 * Makes sure that there is a stream that keeps what is needed.
 *
 * @throws Error if the server has no JetStream, or if the stream does not fit and is not one that a broker has made
 */
export async function setUpStream(
  manager: NatsJetStreamManager,
  prefix: string,
  needs: StreamNeeds,
): Promise<FittingStream> {
  try {
    const info = await onceMade(manager, await find(manager, prefix) ?? await make(manager, prefix, needs));
    const kept = keptBy(await adapt(manager, prefix, info.config, needs));
    return { name: info.config.name, created: Date.parse(info.created), kept };
  } catch (error) {
    if (error instanceof TypeError) throw error;
    const { message } = error as Error;
    throw new Error(`Topics with a history need JetStream, and a stream in it: ${message}`, { cause: error });
  }
}

async function find({ streams }: NatsJetStreamManager, prefix: string): Promise<NatsStreamInfo | undefined> {
  try {
    return await streams.info(await streams.find(`${prefix}.topic.life.history`));
  } catch (error) {
    if (isStreamMissing(error)) return undefined;
    throw error;
  }
}

async function make(
  manager: NatsJetStreamManager,
  prefix: string,
  { size, ageMs }: StreamNeeds,
): Promise<NatsStreamInfo> {
  try {
    return await manager.streams.add({
      name: `${prefix.replaceAll(/[^\w-]/g, "_").slice(0, MAX_NAME_LENGTH)}_history`,
      description: DESCRIPTION,
      subjects: [`${prefix}.*.*.history`],
      retention: "limits",
      discard: "old",
      max_age: ageMs * NS_PER_MS,
      max_msgs_per_subject: sizeWithSlack(size),
      republish: republishOf(prefix),
    });
  } catch (error) {
    // Another process may have made the stream at the same time, with other limits.
    const found = await find(manager, prefix);
    if (found === undefined) throw error;
    return found;
  }
}

/**
 * Waits until the server has made a stream. nats-server 2.9.10 tells of a stream before the stream has a store. A
 * request for a message of the stream ends that server with a panic then. Until there is a store, the server gives the
 * year 1 as the time at which the stream was created.
 */
async function onceMade({ streams }: NatsJetStreamManager, info: NatsStreamInfo): Promise<NatsStreamInfo> {
  for (let looks = 1; !(Date.parse(info.created) > 0); looks++) {
    if (looks > MAX_LOOKS) {
      throw new Error(`the server has not made the stream ${info.config.name} within some seconds`);
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_INTERVAL_MS));
    info = await streams.info(info.config.name);
  }
  return info;
}

async function adapt(
  manager: NatsJetStreamManager,
  prefix: string,
  config: FoundConfig,
  needs: StreamNeeds,
): Promise<FoundConfig> {
  const faults = faultsOf(config, prefix);
  const kept = keptBy(config);
  const isLess = { size: kept.size < needs.size, age: kept.ageMs < needs.ageMs };
  if (faults.length === 0 && !isLess.size && !isLess.age) return config;
  if (faults.length === 0 && config.description === DESCRIPTION) {
    const limits: NatsStreamConfig = {};
    if (isLess.size) limits.max_msgs_per_subject = sizeWithSlack(needs.size);
    if (isLess.age) limits.max_age = needs.ageMs * NS_PER_MS;
    return (await manager.streams.update(config.name, limits)).config;
  }
  if (isLess.size) faults.push(`max_msgs_per_subject must be at least ${needs.size}, or -1`);
  if (isLess.age) faults.push(`max_age must be at least ${needs.ageMs} ms, or 0`);
  throw new TypeError(`The stream ${config.name} cannot keep histories: ${faults.join("; ")}`);
}

/** A history that is read must not lose its oldest messages meanwhile, however fast others append to it. */
function sizeWithSlack(size: number): number {
  return size + Math.ceil(size / 10) + 100;
}

function republishOf(prefix: string): { src: string; dest: string } {
  return { src: `${prefix}.*.*.history`, dest: `${prefix}.{{wildcard(1)}}.{{wildcard(2)}}.live` };
}

function keptBy({ max_msgs_per_subject: size = -1, max_age: age = 0 }: FoundConfig): StreamNeeds {
  return { size: size > 0 ? size : Infinity, ageMs: age > 0 ? age / NS_PER_MS : Infinity };
}

/** What does not fit in a stream that somebody else has made. */
function faultsOf({ retention, discard, no_ack, republish }: FoundConfig, prefix: string): string[] {
  const faults: string[] = [];
  const wanted = republishOf(prefix);
  // Both ways to write a token are the same to the server.
  const dest = republish?.dest.replaceAll(/\$(\d)|\{\{ *wildcard\( *(\d) *\) *\}\}/gi, "{{wildcard($1$2)}}");
  if (republish?.src !== wanted.src || dest !== wanted.dest || republish.headers_only === true) {
    faults.push(`republish must be ${JSON.stringify(wanted)}`);
  }
  if (retention !== "limits") faults.push('retention must be "limits"');
  if (discard !== "old") faults.push('discard must be "old"');
  if (no_ack === true) faults.push("no_ack must be false");
  return faults;
}
