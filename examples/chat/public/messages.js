/** The conversation on the screen. */

import { dayName, hue, initials, isShout, timeElement, withLinks } from "./words.js";

const MAX_SHOWN = 500;
/** Messages of one person that are closer together than this stand under one name. */
const GROUP_MS = 5 * 60 * 1000;
const NEARLY_AT_THE_END_PX = 80;

export function avatar(person) {
  const element = document.createElement("span");
  element.className = "avatar";
  element.ariaHidden = "true";
  dressAvatar(element, person);
  return element;
}

export function dressAvatar(element, person) {
  element.style.setProperty("--hue", hue(person.id));
  element.textContent = initials(person.name);
}

export class MessageList {
  #scroller;
  #list;
  #newer;
  #shown = new Map();
  #following = true;
  #lastTop = 0;

  constructor(scroller, list, newer) {
    this.#scroller = scroller;
    this.#list = list;
    this.#newer = newer;
    scroller.addEventListener("scroll", () => {
      const { scrollHeight, scrollTop, clientHeight } = scroller;
      const isNearTheEnd = scrollHeight - scrollTop - clientHeight < NEARLY_AT_THE_END_PX;
      // Only scrolling up means that the reader wants to stay. The distance also grows with new messages or less room.
      this.#following = isNearTheEnd || (this.#following && scrollTop >= this.#lastTop);
      this.#lastTop = scrollTop;
      if (this.#following) newer.hidden = true;
    });
    newer.addEventListener("click", () => this.scrollToEnd());
    // A virtual keyboard or a growing message box takes room away. The last messages stay in sight.
    new ResizeObserver(() => {
      if (this.#following) this.scrollToEnd();
    }).observe(scroller);
  }

  clear() {
    this.#list.replaceChildren();
    this.#shown.clear();
    this.#newer.hidden = true;
    this.#following = true;
  }

  /** Adds many messages at once, without a screen reader reading all of them aloud. */
  quietly(add) {
    this.#list.ariaBusy = "true";
    add();
    requestAnimationFrame(() => (this.#list.ariaBusy = "false"));
  }

  scrollToEnd() {
    this.#scroller.scrollTop = this.#scroller.scrollHeight;
  }

  has(id) {
    return this.#shown.has(id);
  }

  /** Shows a message that the server has sent. A message of our own that was waiting is no longer waiting. */
  add(message, isMine) {
    const waiting = this.#shown.get(message.id);
    const item = this.#render(message, isMine);
    if (waiting) {
      if (!waiting.classList.contains("waiting")) return;
      waiting.replaceWith(item);
      item.classList.add("arrived");
    } else {
      this.#list.insertBefore(item, this.#list.querySelector(".waiting"));
    }
    this.#shown.set(message.id, item);
    this.#separateDays(item);
    this.#group(item);
    this.#group(item.nextElementSibling);
    this.#afterAdding(isMine);
  }

  /** Shows a message of our own that the server has not confirmed yet. */
  addWaiting(message) {
    const item = this.#render({ ...message, from: undefined }, true);
    item.classList.add("waiting");
    item.append(paragraph("fate", "Not sent yet"));
    this.#list.append(item);
    this.#shown.set(message.id, item);
    this.#group(item);
    this.#afterAdding(true);
  }

  refuse(id, reason) {
    const item = this.#shown.get(id);
    if (!item) return;
    item.classList.replace("waiting", "refused");
    item.querySelector(".fate").textContent = `Not sent. ${reason}`;
  }

  notice(text, at) {
    const item = document.createElement("li");
    item.className = "notice";
    item.append(`${text} `, timeElement(at));
    item.dataset.at = at;
    this.#list.insertBefore(item, this.#list.querySelector(".waiting"));
    this.#group(item.nextElementSibling);
    this.#afterAdding(false);
  }

  /** Says that messages may be missing between those above and those below. */
  gap() {
    const item = document.createElement("li");
    item.className = "gap";
    item.textContent = "Some messages may be missing here";
    this.#list.insertBefore(item, this.#list.querySelector(".waiting"));
    this.#afterAdding(false);
  }

  #render(message, isMine) {
    const item = document.createElement("li");
    item.className = isMine ? "message mine" : "message";
    item.dataset.from = isMine ? "me" : message.from.id;
    item.dataset.at = message.at;
    const who = document.createElement("p");
    who.className = "who";
    const name = document.createElement("span");
    name.className = "name";
    name.textContent = isMine ? "You" : message.from.name;
    who.append(name, " ", timeElement(message.at));
    const bubble = paragraph("bubble", withLinks(message.text));
    bubble.dir = "auto";
    if (isShout(message.text)) bubble.classList.add("shout");
    if (!isMine) item.append(avatar(message.from));
    item.append(who, bubble);
    return item;
  }

  #group(item) {
    if (!item?.classList.contains("message")) return;
    const before = item.previousElementSibling;
    const continues = before?.classList.contains("message") && before.dataset.from === item.dataset.from &&
      before.querySelector(".name").textContent === item.querySelector(".name").textContent &&
      Number(item.dataset.at) - Number(before.dataset.at) < GROUP_MS;
    item.classList.toggle("continued", Boolean(continues));
    before?.classList.toggle("goes-on", Boolean(continues));
  }

  #separateDays(item) {
    const before = item.previousElementSibling;
    const day = dayName(Number(item.dataset.at));
    const dayBefore = before?.dataset.at ? dayName(Number(before.dataset.at)) : "Today";
    if (day === dayBefore) return;
    const separator = document.createElement("li");
    separator.className = "day";
    separator.textContent = day;
    item.before(separator);
  }

  #afterAdding(isMine) {
    while (this.#list.children.length > MAX_SHOWN) {
      const [oldest] = this.#list.children;
      this.#shown.delete([...this.#shown].find(([, item]) => item === oldest)?.[0]);
      oldest.remove();
    }
    if (this.#following || isMine) this.scrollToEnd();
    else this.#newer.hidden = false;
  }
}

function paragraph(className, content) {
  const element = document.createElement("p");
  element.className = className;
  element.append(content);
  return element;
}
