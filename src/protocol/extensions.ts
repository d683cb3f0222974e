import { HandshakeError } from "./errors.ts";
import { isToken, isWhitespace } from "./tokens.ts";

/** One extension that a client offers. Parameters keep their order and repetitions: what those mean is the extension's. */
export interface ExtensionOffer {
  readonly name: string;
  readonly parameters: readonly ExtensionParameter[];
}

export interface ExtensionParameter {
  readonly name: string;
  readonly value: string | undefined;
}

/**
 * Reads a Sec-WebSocket-Extensions header, RFC 6455 §9.1: `name; parameter; parameter=value; parameter="value", …`.
 *
 * One pass over the characters and no pattern that could look back, so that no header takes longer than its length.
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

class Scanner {
  #at = 0;
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  get isAtEnd(): boolean {
    this.#skipWhitespace();
    return this.#at === this.#text.length;
  }

  /** Goes to the next element of the list (§5.6.1 of RFC 9110 allows empty ones); false when there is none. */
  skipEmptyElements(): boolean {
    while (this.take(",")) { /* an empty element */ }
    return !this.isAtEnd;
  }

  take(character: string): boolean {
    this.#skipWhitespace();
    if (this.#text[this.#at] !== character) return false;
    this.#at++;
    return true;
  }

  token(): string {
    this.#skipWhitespace();
    const start = this.#at;
    while (this.#at < this.#text.length && isToken(this.#text[this.#at])) this.#at++;
    if (this.#at === start) this.refuse();
    return this.#text.slice(start, this.#at);
  }

  tokenOrQuoted(): string {
    if (!this.take('"')) return this.token();
    const characters: string[] = [];
    while (this.#at < this.#text.length) {
      let character = this.#text[this.#at++];
      if (character === '"') {
        // §9.1: what is quoted must be a token once it is unquoted.
        const value = characters.join("");
        return isToken(value) ? value : this.refuse();
      }
      if (character === "\\") character = this.#text[this.#at++] ?? this.refuse();
      characters.push(character);
    }
    return this.refuse();
  }

  refuse(): never {
    throw new HandshakeError(400, `Sec-WebSocket-Extensions is malformed at character ${this.#at + 1}`);
  }

  #skipWhitespace(): void {
    while (isWhitespace(this.#text.charCodeAt(this.#at))) this.#at++;
  }
}
