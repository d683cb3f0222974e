/** The page of the chat example, driven as a person uses it and read by the words that it shows. */

import type { Browser, BrowserContext, BrowserContextOptions, Locator, Page } from "playwright-core";

/** Options of a browser context, and who opens which room. */
export interface ChatPageOptions extends BrowserContextOptions {
  /** Default: lobby. */
  room?: string;
  /** The name that the page remembers from an earlier visit. Without one, the page asks. */
  name?: string;
}

const LOST_CONNECTION =
  /^WebSocket connection to 'ws:.*' failed|^Failed to load resource: net::ERR_\w+ \(http.*\/icon\.svg\)$/;

/** The page as one person has it, in a browser context of its own. */
export class ChatPage {
  readonly page: Page;
  readonly context: BrowserContext;
  /** The exceptions, errors and warnings of the page. */
  readonly faults: string[] = [];

  constructor(page: Page) {
    this.page = page;
    this.context = page.context();
    page.on("pageerror", (error) => this.faults.push(String(error.stack)));
    page.on("console", (message) => {
      const { url } = message.location();
      if (["error", "warning"].includes(message.type())) this.faults.push(`${message.text()} (${url})`);
    });
  }

  /** Opens the page. With a `name`, resolves once the page is connected. */
  static async open(browser: Browser, url: string, options: ChatPageOptions = {}): Promise<ChatPage> {
    const { room = "lobby", name, ...contextOptions } = options;
    const context = await browser.newContext({ locale: "en-GB", ...contextOptions });
    const chat = new ChatPage(await context.newPage());
    if (name !== undefined) {
      await context.addInitScript((name) => localStorage["chat.name"] ??= name, JSON.stringify(name));
    }
    await chat.page.goto(`${url}/#/${encodeURIComponent(room)}`);
    if (name !== undefined) await chat.connected();
    return chat;
  }

  /** Fills in the name that the page asks for, and waits until the page is connected. */
  async introduce(name: string): Promise<void> {
    await this.answerName(name);
    await this.connected();
  }

  /** Fills in the name that the page asks for. */
  async answerName(name: string): Promise<void> {
    const dialog = this.page.getByRole("dialog", { name: "What should we call you?" });
    await dialog.getByLabel("Your name").fill(name);
    await dialog.getByRole("button", { name: "Join the chat" }).click();
  }

  async connected(): Promise<void> {
    await this.status(/^Connected$/).waitFor({ state: "attached" });
  }

  status(text: string | RegExp): Locator {
    return this.page.locator("#status-text").filter({ hasText: text });
  }

  get textBox(): Locator {
    return this.page.getByRole("textbox", { name: "Message" });
  }

  get log(): Locator {
    return this.page.getByRole("log", { name: "Messages" });
  }

  async say(text: string): Promise<void> {
    await this.textBox.fill(text);
    await this.textBox.press("Enter");
  }

  /** Waits until a message or a notice with this text is in the conversation. */
  async sees(text: string): Promise<void> {
    await this.log.getByText(text).waitFor();
  }

  /** The notices of people who joined, left or changed their name. */
  async notices(): Promise<string[]> {
    return await this.log.locator(".notice").evaluateAll((items) => {
      return items.map((item) => (item.firstChild?.textContent ?? "").trim());
    });
  }

  /** The number of lines that say that messages may be missing. */
  async gaps(): Promise<number> {
    return await this.log.getByText("Some messages may be missing here").count();
  }

  /** The messages as "name: text", in the order of the screen. */
  async messages(): Promise<string[]> {
    return await this.log.locator(".message").evaluateAll((items) => {
      const text = (item: Element, part: string): string => item.querySelector(part)?.textContent ?? "";
      return items.map((item) => `${text(item, ".name")}: ${text(item, ".bubble")}`);
    });
  }

  async people(): Promise<string[]> {
    return await this.page.getByRole("region", { name: "Here now" }).locator(".person").allTextContents();
  }

  async typing(): Promise<string> {
    return await this.page.locator("#typing-text").textContent() ?? "";
  }

  /**
   * Removes the failed attempts to connect, which Chromium logs, from the faults: they were expected. Chromium loads
   * the icon of the page when it has the time, so the end of a server may meet this request too.
   */
  forgiveLostConnections(): void {
    const others = this.faults.filter((fault) => !LOST_CONNECTION.test(fault));
    this.faults.splice(0, this.faults.length, ...others);
  }

  async leave(): Promise<void> {
    await this.context.close();
  }
}
