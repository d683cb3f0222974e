/** Topics for a server that has none of its own: a Set of sockets for each, as an application would write it. */
import { NAME_LENGTH, nameOf, topicsOf } from "../shared/topics.ts";

/** The number of the socket that asks for this path, if the path is one of those with topics. */
export function socketNumber(path: string): number | undefined {
  return path.startsWith("/topics/") ? Number(path.slice("/topics/".length)) : undefined;
}

/** The names of the topics to which the socket with this number is subscribed. */
export function topicNames(socket: number): string[] {
  return topicsOf(socket).map(nameOf);
}

export function topicOf(text: string): string {
  return text.slice(0, NAME_LENGTH);
}

export class TopicMap<Socket> {
  readonly #members = new Map<string, Set<Socket>>();

  join(socket: Socket, number: number): void {
    for (const name of topicNames(number)) {
      let members = this.#members.get(name);
      if (!members) this.#members.set(name, members = new Set());
      members.add(socket);
    }
  }

  leave(socket: Socket, number: number): void {
    for (const name of topicNames(number)) this.#members.get(name)?.delete(socket);
  }

  membersOf(name: string): Iterable<Socket> {
    return this.#members.get(name) ?? [];
  }
}
