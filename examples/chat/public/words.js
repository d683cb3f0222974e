/** Text for people: names, times, sentences, and messages with their links. */

/** Random letters that nobody can guess. (`crypto.randomUUID` is missing on pages that come over plain http.) */
export function randomToken() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Turns the text of a person into the name of a room: "Book club" becomes "book-club". */
export function roomName(typed) {
  return typed
    .normalize("NFC")
    .toLowerCase()
    .replace(/[^\p{L}\p{M}\p{N}_]+/gu, "-")
    .replace(/^[-_\p{M}]+|-+$/gu, "")
    .slice(0, 32);
}

export function initials(name) {
  const words = name.split(" ").filter((word) => /[\p{L}\p{N}]/u.test(word));
  const first = (word) => [...word].find((character) => /[\p{L}\p{N}]/u.test(character));
  return words.slice(0, 2).map(first).join("").toUpperCase() || [...name][0];
}

/** The colour of a person, which is the same on every screen. */
export function hue(id) {
  return Number.parseInt(id.slice(0, 6), 16) % 360;
}

const clock = new Intl.DateTimeFormat(undefined, { hour: "numeric", minute: "2-digit" });
const calendar = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });
const both = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "medium" });

export function timeElement(at) {
  const element = document.createElement("time");
  element.dateTime = new Date(at).toISOString();
  element.title = both.format(at);
  element.textContent = clock.format(at);
  return element;
}

export function dayName(at) {
  const day = new Date(at).toDateString();
  if (day === new Date().toDateString()) return "Today";
  if (day === new Date(Date.now() - 24 * 60 * 60 * 1000).toDateString()) return "Yesterday";
  return calendar.format(at);
}

export function peopleCount(count) {
  return count === 1 ? "Only you are here" : `${count} people are here`;
}

export function typingSentence(names) {
  if (names.length === 0) return "";
  if (names.length === 1) return `${names[0]} is typing`;
  if (names.length === 2) return `${names[0]} and ${names[1]} are typing`;
  return "Several people are typing";
}

/** Turns a message into text nodes and links. No part of the message is parsed as HTML. */
export function withLinks(text) {
  const fragment = document.createDocumentFragment();
  let end = 0;
  for (const match of text.matchAll(/\bhttps?:\/\/[^\s<>"']*[^\s<>"'.,:;!?)\]]/gi)) {
    fragment.append(text.slice(end, match.index), link(match[0]));
    end = match.index + match[0].length;
  }
  fragment.append(text.slice(end));
  return fragment;
}

function link(address) {
  const element = document.createElement("a");
  element.href = address;
  element.rel = "noopener noreferrer";
  element.target = "_blank";
  element.textContent = address;
  return element;
}

/** True for one, two or three emoji and nothing else, which are shown large. */
export function isShout(text) {
  return /^\p{RGI_Emoji}{1,3}$/v.test(text);
}
