/** Which sockets are subscribed to which topics in the cells on `/topics`. The load and the peers have to agree. */

export const TOPICS = 1_000;
/** There are as many sockets as topics. */
export const SOCKETS: number = TOPICS;
export const SOCKETS_PER_TOPIC = 100;

/** The length of a topic's name, with which each message begins. */
export const NAME_LENGTH = 3;

export function nameOf(topic: number): string {
  return String(topic).padStart(NAME_LENGTH, "0");
}

/** The topics of a socket: its own number and those behind it. */
export function topicsOf(socket: number): number[] {
  return Array.from({ length: SOCKETS_PER_TOPIC }, (_, index) => (socket + index) % TOPICS);
}

/** The sockets that are subscribed to a topic, which are others for each topic. */
export function socketsOf(topic: number): number[] {
  return Array.from({ length: SOCKETS_PER_TOPIC }, (_, index) => (topic - index + SOCKETS) % SOCKETS);
}

/** The topic of a message: one after the other, far from each other. */
export function topicOfMessage(number: number): number {
  return (number * 617) % TOPICS;
}
