/** The parts of the page around the conversation: rooms, people, dialogs and short notes. */

import { avatar, dressAvatar } from "./messages.js";
import { roomName } from "./words.js";

const element = (id) => document.getElementById(id);
const NOTE_MS = 5_000;

export function showRooms(rooms, current) {
  const counts = new Map(rooms.map((room) => [room.name, room.people]));
  const names = new Set(["lobby", ...rooms.map((room) => room.name), current]);
  element("rooms").replaceChildren(...[...names].map((name) => {
    const item = document.createElement("li");
    const link = document.createElement("a");
    link.href = `#/${encodeURIComponent(name)}`;
    if (name === current) link.ariaCurrent = "page";
    const hash = span("hash", "#");
    hash.ariaHidden = "true";
    link.append(hash, span("room-label", name));
    const count = counts.get(name) ?? 0;
    if (count > 0) {
      const badge = span("count", count);
      badge.append(span("for-ears", count === 1 ? " person" : " people"));
      link.append(" ", badge);
    }
    item.append(link);
    return item;
  }));
}

export function showPeople(people, myId) {
  const sorted = [...people].sort((a, b) => (b.id === myId) - (a.id === myId) || a.name.localeCompare(b.name));
  element("people").replaceChildren(...sorted.map((person) => {
    const item = document.createElement("li");
    item.append(avatar(person), span("person", person.name));
    if (person.id === myId) item.append(span("you", "you"));
    return item;
  }));
}

export function showMe(person) {
  dressAvatar(element("my-avatar"), person);
  element("my-name").textContent = person.name;
}

/** Asks for a name until there is one. Only a person who has a name already can cancel. */
export function askName(current, fault) {
  const dialog = element("name-dialog");
  const cancel = dialog.querySelector("[value=cancel]");
  cancel.hidden = !current;
  dialog.querySelector(".strong").textContent = current ? "Save" : "Join the chat";
  return ask(dialog, element("name"), { value: current ?? "", fault, mayCancel: Boolean(current) });
}

export async function askRoom() {
  const input = element("room");
  const preview = () => {
    const name = roomName(input.value);
    element("room-address").textContent = name ? `${location.host}/#/${name}` : "";
  };
  input.oninput = preview;
  element("room-address").textContent = "";
  const check = (typed) => roomName(typed) ? "" : "Use at least one letter or digit.";
  const typed = await ask(element("room-dialog"), input, { value: "", check, mayCancel: true });
  return typed && roomName(typed);
}

/** Shows a dialog with one field. Resolves to the text, or to null when the dialog was cancelled. */
function ask(dialog, input, { value, fault = "", check = () => "", mayCancel }) {
  const faultText = dialog.querySelector(".fault");
  faultText.textContent = fault;
  input.value = value;
  dialog.showModal();
  input.select();
  return new Promise((resolve) => {
    let answer = null;
    dialog.querySelector("form").onsubmit = (event) => {
      event.preventDefault();
      const typed = input.value.trim();
      faultText.textContent = typed === "" ? "Please write a name." : check(typed);
      if (faultText.textContent !== "") return;
      answer = typed;
      dialog.close();
    };
    dialog.querySelector("[value=cancel]").onclick = () => dialog.close();
    dialog.onkeydown = (event) => {
      if (event.key === "Escape" && !mayCancel) event.preventDefault();
    };
    // The back gesture of a phone closes a dialog, too, and a page cannot prevent it.
    dialog.onclose = () => {
      if (answer === null && !mayCancel) dialog.showModal();
      else resolve(answer);
    };
  });
}

/** On a narrow screen the sidebar is a drawer. While the drawer is shut, the Tab key does not reach into it. */
export function setUpDrawer() {
  const narrow = matchMedia("(max-width: 760px)");
  const side = element("side");
  const set = (open) => {
    side.classList.toggle("open", open);
    side.inert = narrow.matches && !open;
    element("open-side").ariaExpanded = String(open);
  };
  const close = () => {
    if (!side.classList.contains("open")) return;
    set(false);
    element("open-side").focus();
  };
  element("open-side").onclick = () => {
    set(true);
    element("close-side").focus();
  };
  element("close-side").onclick = close;
  element("shade").onclick = close;
  side.addEventListener("keydown", (event) => {
    if (event.key === "Escape") close();
  });
  narrow.onchange = () => set(false);
  set(false);
  return { close: () => set(false) };
}

export function announce(text) {
  element("announcer").textContent = text;
}

let noteTimer;

/** Shows a short note that goes away by itself. */
export function note(text) {
  const toast = element("toast");
  clearTimeout(noteTimer);
  toast.textContent = text;
  toast.hidden = false;
  announce(text);
  noteTimer = setTimeout(() => (toast.hidden = true), NOTE_MS);
}

function span(className, content) {
  const element = document.createElement("span");
  element.className = className;
  element.append(content);
  return element;
}
