/** The page of the chat example fits screens of all sizes, is legible in both colour schemes, and works by keyboard. */

import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ChatPage, type ChatPageOptions } from "./support/chat-page.ts";
import { launchChromium } from "./support/chromium.ts";
import { type ServerProcess, startServer } from "./support/server-process.ts";

const PHONE = { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true };
const SMALL_PHONE = { viewport: { width: 320, height: 480 }, hasTouch: true, isMobile: true };
const DESKTOP = { viewport: { width: 1280, height: 800 } };
const LONG = "Donaudampfschifffahrtsgesellschaftskapitänsmütze".repeat(4);

let browser: Browser;
let server: ServerProcess;

beforeAll(async () => {
  [browser, server] = await Promise.all([launchChromium("shell"), startServer("node", "examples/chat/server.ts")]);
});
afterAll(async () => {
  await browser?.close();
  await server?.stop();
});

/** Opens the page, runs the checks, and closes the page, which must have logged no warning and no error. */
async function visit(options: ChatPageOptions, check: (chat: ChatPage) => Promise<void>): Promise<void> {
  const chat = await ChatPage.open(browser, server.url, options);
  try {
    await check(chat);
    expect(chat.faults).toEqual([]);
  } finally {
    await chat.leave();
  }
}

describe.each([["phone", PHONE], ["small phone", SMALL_PHONE], ["desktop", DESKTOP]])("on a %s", (kind, screen) => {
  test.each(["light", "dark"] as const)("nothing overflows the screen, in the %s scheme", async (colorScheme) => {
    const room = `fit-${kind.replace(" ", "-")}-${colorScheme}`;
    await visit({ ...screen, colorScheme, room, name: "W".repeat(32) }, async (chat) => {
      await chat.say(LONG);
      await chat.say(`https://example.com/${LONG}`);
      await expect.poll(() => chat.page.locator(".waiting").count()).toBe(0);
      await chat.textBox.fill(`${LONG}\n`.repeat(12));

      const { width, height } = screen.viewport;
      const sizes = await chat.page.evaluate(() => {
        const root = document.documentElement;
        const scroll = document.getElementById("scroll")!;
        const composer = document.getElementById("composer")!.getBoundingClientRect();
        const background = getComputedStyle(document.querySelector(".room")!).backgroundColor;
        const probe = new OffscreenCanvas(1, 1).getContext("2d")!;
        probe.fillStyle = background;
        probe.fillRect(0, 0, 1, 1);
        return {
          page: [root.scrollWidth, root.scrollHeight],
          conversation: scroll.scrollWidth - scroll.clientWidth,
          composer: [composer.left, composer.right, composer.bottom],
          brightness: probe.getImageData(0, 0, 1, 1).data[0]!,
        };
      });
      expect(sizes.page).toEqual([width, height]);
      expect(sizes.conversation).toBe(0);
      expect(sizes.composer[0]).toBeGreaterThan(0);
      expect(sizes.composer[1]).toBeLessThan(width);
      expect(sizes.composer[2]).toBeLessThan(height);
      if (colorScheme === "light") expect(sizes.brightness).toBeGreaterThan(230);
      else expect(sizes.brightness).toBeLessThan(60);
    });
  });

  test("every field has a font of 16 px or more, so that no phone zooms in, and every control has a name", async () => {
    await visit({ ...screen, room: "names", name: "Ada" }, async (chat) => {
      const fields = chat.page.locator("input, textarea");
      const fontSizes = await fields.evaluateAll((all) =>
        all.map((field) => parseFloat(getComputedStyle(field).fontSize))
      );
      expect(fontSizes).toHaveLength(3);
      expect(Math.min(...fontSizes)).toBeGreaterThanOrEqual(16);

      const unnamed = await chat.page.locator("button, a, input, textarea").evaluateAll((all) =>
        all.filter((control) => {
          const labels = control instanceof HTMLInputElement || control instanceof HTMLTextAreaElement
            ? [...control.labels!].map((label) => label.textContent)
            : [control.textContent];
          return !control.ariaLabel && labels.join("").trim() === "";
        }).map((control) => control.outerHTML)
      );
      expect(unnamed).toEqual([]);
    });
  });
});

test("on a phone the rooms and people are in a drawer, which opens and closes by touch and by keyboard", async () => {
  await visit({ ...PHONE, room: "drawer", name: "Ada" }, async ({ page }) => {
    const drawer = page.locator("#side");
    const opener = page.getByRole("button", { name: "Rooms and people", exact: true });
    expect(await drawer.isVisible()).toBe(false);
    expect(await drawer.evaluate((element) => (element as HTMLElement).inert)).toBe(true);

    await opener.click();
    await expect.poll(() => drawer.isVisible()).toBe(true);
    expect(await opener.getAttribute("aria-expanded")).toBe("true");
    expect(await page.evaluate(() => document.activeElement?.id)).toBe("close-side");

    await page.keyboard.press("Escape");
    await expect.poll(() => drawer.isVisible()).toBe(false);
    expect(await page.evaluate(() => document.activeElement?.id)).toBe("open-side");

    await opener.click();
    const controls = await page.locator("#side").locator("a, button").evaluateAll((all) =>
      all.map((control) => {
        const { width, height } = control.getBoundingClientRect();
        return { control: control.outerHTML, smaller: Math.min(width, height) };
      })
    );
    expect(controls.length).toBeGreaterThan(4);
    expect(controls.filter(({ smaller }) => smaller < 44)).toEqual([]);
    await page.getByRole("link", { name: "lobby" }).click();
    await expect.poll(() => drawer.isVisible()).toBe(false);
    expect(await page.locator("h1").textContent()).toBe("#lobby");
  });
});

test("on a small phone the notice of a lost connection fits into the bar", async () => {
  const away = await startServer("node", "examples/chat/server.ts");
  const chat = await ChatPage.open(browser, away.url, { ...SMALL_PHONE, room: "a-room-with-a-long-name", name: "Ada" });
  await away.stop("SIGKILL");
  await chat.status(/^Reconnecting in \d+ s$/).waitFor();
  const parts = await chat.page.locator("#open-side, .title, .status").evaluateAll((all) =>
    all.map((part) => {
      const { left, right } = part.getBoundingClientRect();
      return [left, right];
    })
  );
  const edges = parts.flat();
  expect(edges).toHaveLength(6);
  expect(edges).toEqual(edges.toSorted((a, b) => a - b));
  expect(edges[0]).toBeGreaterThanOrEqual(0);
  expect(edges.at(-1)).toBeLessThanOrEqual(SMALL_PHONE.viewport.width);
  expect(await chat.page.locator("#share").isVisible()).toBe(false);
  await chat.leave();
});

test("a first visitor cannot close the question for a name without a name", async () => {
  await visit({ room: "first" }, async (chat) => {
    const dialog = chat.page.getByRole("dialog", { name: "What should we call you?" });
    await dialog.waitFor();
    await chat.page.keyboard.press("Escape");
    await chat.page.keyboard.press("Escape");
    expect(await dialog.isVisible()).toBe(true);

    await dialog.getByLabel("Your name").fill("   ");
    await dialog.getByRole("button", { name: "Join the chat" }).click();
    await expect.poll(() => dialog.getByRole("alert").textContent()).toBe("Please write a name.");

    // Only the server checks this rule. It sends an error, and the page asks again.
    await dialog.getByLabel("Your name").fill("\u2066");
    await dialog.getByRole("button", { name: "Join the chat" }).click();
    await expect.poll(() => dialog.getByRole("alert").textContent()).toBe("Please choose a name that can be seen.");
    await chat.introduce("Ada");
    expect(await chat.people()).toEqual(["Ada"]);
  });
});

test("a text that is too long stays in the box, and a counter says by how much", async () => {
  await visit({ room: "long", name: "Ada" }, async (chat) => {
    await chat.say("x".repeat(2_001));
    expect(await chat.page.locator("#counter").textContent()).toBe("-1");
    expect(await chat.textBox.getAttribute("aria-invalid")).toBe("true");
    expect(await chat.messages()).toEqual([]);
    await chat.say("x".repeat(2_000));
    await expect.poll(() => chat.messages()).toEqual([`You: ${"x".repeat(2_000)}`]);
    expect(await chat.page.locator("#counter").textContent()).toBe("");
  });
});

test("a new message does not move the conversation of a reader who has scrolled up", async () => {
  const room = "reading";
  await visit({ ...DESKTOP, room, name: "Ada" }, async (ada) => {
    for (let line = 1; line <= 18; line++) await ada.say(`Line ${line}\n\n\n`.padEnd(300, "."));
    await expect.poll(() => ada.page.locator(".waiting").count()).toBe(0);
    const scroll = ada.page.locator("#scroll");
    await scroll.hover();
    await ada.page.mouse.wheel(0, -600);
    await expect.poll(() => scroll.evaluate((it) => it.scrollHeight - it.scrollTop - it.clientHeight)).toBeGreaterThan(
      500,
    );
    const before = await scroll.evaluate((it) => it.scrollTop);

    await visit({ room, name: "Ben" }, async (ben) => {
      await ben.say("News");
      await ada.page.getByRole("button", { name: "New messages" }).waitFor();
      expect(await scroll.evaluate((it) => it.scrollTop)).toBe(before);
      await ada.page.getByRole("button", { name: "New messages" }).click();
      await expect.poll(() => scroll.evaluate((it) => it.scrollHeight - it.scrollTop - it.clientHeight)).toBeLessThan(
        2,
      );
    });
  });
});

test.each(["light", "dark"] as const)(
  "every text has enough contrast to its background, in the %s scheme",
  async (colorScheme) => {
    const room = `contrast-${colorScheme}`;
    await visit({ ...DESKTOP, colorScheme, room, name: "Ada" }, async (ada) => {
      await visit({ room, name: "Ben" }, async (ben) => {
        await ben.say("See https://example.com/");
        await ada.sees("See");
        await ada.say("Yes");
        await expect.poll(() => ada.page.locator(".waiting").count()).toBe(0);
        expect(await ada.page.evaluate(findFaintText)).toEqual([]);
      });
    });
  },
);

/** Runs in the page: returns the texts with a contrast below 4.5 to 1, which WCAG 2.2 §1.4.3 asks for. */
function findFaintText(): string[] {
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true })!;
  const paint = (colors: string[]): number[] => {
    canvas.clearRect(0, 0, 1, 1);
    for (const color of colors) {
      canvas.fillStyle = color;
      canvas.fillRect(0, 0, 1, 1);
    }
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const luminance = (rgba: number[]): number => {
    const [r, g, b] = rgba.map((value) => {
      const part = value / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r! + 0.7152 * g! + 0.0722 * b!;
  };
  const faint: string[] = [];
  const texts = document.createTreeWalker(document.querySelector(".app")!, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement!;
    if (!texts.currentNode.textContent!.trim() || !element.checkVisibility({ visibilityProperty: true })) continue;
    const behind: string[] = [];
    for (let at: Element | null = element; at; at = at.parentElement) {
      behind.unshift(getComputedStyle(at).backgroundColor);
    }
    const back = luminance(paint(behind));
    const front = luminance(paint([...behind, getComputedStyle(element).color]));
    const contrast = (Math.max(back, front) + 0.05) / (Math.min(back, front) + 0.05);
    if (contrast < 4.5) faint.push(`${element.outerHTML.slice(0, 80)}: ${contrast.toFixed(2)}`);
  }
  return faint;
}
