import { show } from "../../common/show.ts";
import type { ResolvedHistory } from "./history-options.ts";

/** The topics that `app.topic` has named, each with its history, if it has one. */
export class TopicPatterns {
  readonly #exact = new Map<string, ResolvedHistory | undefined>();
  /** What stands before the `*`. The longest comes first, and is the one that counts. */
  readonly #prefixes: { readonly prefix: string; readonly history: ResolvedHistory | undefined }[] = [];

  /**
   * Adds a pattern: the name of a topic, or the start of names and a `*`.
   *
   * @throws Error if the pattern was added before
   */
  add(pattern: string, history: ResolvedHistory | undefined): void {
    const prefix = prefixOf(pattern);
    if (this.#exact.has(pattern) || this.#prefixes.some((other) => other.prefix === prefix)) {
      throw new Error(`The topic ${show(pattern)} has been declared already`);
    }
    if (prefix === undefined) return void this.#exact.set(pattern, history);
    this.#prefixes.push({ prefix, history });
    this.#prefixes.sort((one, other) => other.prefix.length - one.prefix.length);
  }

  /** Whether `find` considers a pattern for a topic. */
  static matches(pattern: string, topic: string): boolean {
    const prefix = prefixOf(pattern);
    return prefix === undefined ? topic === pattern : topic.startsWith(prefix);
  }

  /** Finds the history of a topic. The name itself counts before the start of a name. */
  find(topic: string): ResolvedHistory | undefined {
    if (this.#exact.has(topic)) return this.#exact.get(topic);
    return this.#prefixes.find(({ prefix }) => topic.startsWith(prefix))?.history;
  }
}

/** What stands before the `*` of a pattern. Undefined for the name of a topic. */
function prefixOf(pattern: string): string | undefined {
  return pattern.endsWith("*") ? pattern.slice(0, -1) : undefined;
}
