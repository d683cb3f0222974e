/** The grammar of the Sec-WebSocket-Extensions header, RFC 6455 §9.1. */
import { HandshakeError } from "./errors.ts";
import { isToken, isWhitespace } from "./tokens.ts";

/**
 * One extension that a client offers. The parameters keep their order and their repetitions, since only the extension
 * can tell what these mean.
 */
export interface ExtensionOffer {
  readonly name: string;
  readonly parameters: readonly ExtensionParameter[];
}

/** One parameter of an extension. Its value has no quotes or escapes any more, or is `undefined` when there is none. */
export interface ExtensionParameter {
  readonly name: string;
  readonly value: string | undefined;
}

/**
 * Reads a Sec-WebSocket-Extensions header, RFC 6455 §9.1: `name; parameter; parameter=value; parameter="value", …`.
 *
 * The header is read in one pass over its characters, without a regular expression that could backtrack, so that the
 * time grows only with the length of the header.
 *
 * @throws HandshakeError 400 when the header breaks the grammar
 */
export function parseExtensions(value: string): ExtensionOffer[] {
  const scanner = new Scanner(value);
  const offers: ExtensionOffer[] = [];
  while (scanner.skipEmptyElements()) {
    const name = scanner.token();
    const parameters: ExtensionParameter[] = [];
    while (scanner.take(";")) {
      const parameter = scanner.token();
      parameters.push({ name: parameter, value: scanner.take("=") ? scanner.tokenOrQuoted() : undefined });
    }
    offers.push({ name, parameters });
    if (!scanner.isAtEnd && !scanner.take(",")) scanner.refuse();
  }
  return offers.length > 0 ? offers : scanner.refuse();
}

/** Reads the header from left to right. Each method skips the white space before the thing that it reads. */
class Scanner {
  #at = 0;
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  /** True at the end of the header, once `take` has skipped the white space there. */
  get isAtEnd(): boolean {
    return this.#at === this.#text.length;
  }

  /** Skips empty elements of the list, which RFC 9110 §5.6.1 allows. False when no other element follows. */
  skipEmptyElements(): boolean {
    while (this.take(",")) { /* an empty element */ }
    return !this.isAtEnd;
  }

  /** Takes the character if it is the next one. True when it was. */
  take(character: string): boolean {
    this.#skipWhitespace();
    if (this.#text[this.#at] !== character) return false;
    this.#at++;
    return true;
  }

  /** Takes a token of RFC 9110 §5.6.2. */
  token(): string {
    this.#skipWhitespace();
    const start = this.#at;
    while (this.#at < this.#text.length && isToken(this.#text[this.#at])) this.#at++;
    if (this.#at === start) this.refuse();
    return this.#text.slice(start, this.#at);
  }

  /** Takes the value of a parameter: a token, or a quoted string (RFC 9110 §5.6.4) that stands for a token. */
  tokenOrQuoted(): string {
    if (!this.take('"')) return this.token();
    const characters: string[] = [];
    while (this.#at < this.#text.length) {
      let character = this.#text[this.#at++];
      if (character === '"') {
        // §9.1: a quoted value must be a token once its quotes and escapes are removed.
        const value = characters.join("");
        return isToken(value) ? value : this.refuse();
      }
      if (character === "\\") character = this.#text[this.#at++] ?? this.refuse();
      characters.push(character);
    }
    return this.refuse();
  }

  /** Refuses the whole header and tells at which character, counted from 1, it breaks the grammar. */
  refuse(): never {
    throw new HandshakeError(400, `Sec-WebSocket-Extensions is malformed at character ${this.#at + 1}`);
  }

  #skipWhitespace(): void {
    while (isWhitespace(this.#text.charCodeAt(this.#at))) this.#at++;
  }
}
