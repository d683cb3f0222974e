/** The start of the page: messages of the server go to the screen, and actions of the person go to the server. */

import { MessageList } from "./messages.js";
import { Outbox } from "./outbox.js";
import { announce, askName, askRoom, note, setUpDrawer, showMe, showPeople, showRooms } from "./panels.js";
import { connect } from "./spacenode/client.js";
import { showState } from "./status.js";
import { forever, untilTabCloses } from "./storage.js";
import { OthersTyping, OwnTyping } from "./typing.js";
import { peopleCount, randomToken, roomName } from "./words.js";

const MAX_TEXT = 2_000;
const COUNT_FROM = 1_800;
/** After a reconnect, people who come back within this time are not announced as having left and joined. */
const RETURN_MS = 20_000;

const element = (id) => document.getElementById(id);
const text = element("text");

const list = new MessageList(element("scroll"), element("messages"), element("newer"));
const drawer = setUpDrawer();
const ownTyping = new OwnTyping(send);
const othersTyping = new OthersTyping(element("typing"), element("typing-text"));
const people = new Map();
const drafts = new Map();
const awaited = new Set();

let name = forever.get("name");
let key = untilTabCloses.get("key") ?? newKey();
let room = "";
/** The position of the last message of the room that we have. The server goes on behind it. */
let since;
let rooms = [];
let me;
let socket;
/** Aborted when `socket` is given up: nobody listens to it any more. */
let leaving;
/** True from the welcome of the server until the connection is lost. */
let isWelcome = false;
let outbox;
let awaitedTimer;
let unread = 0;

// ---- Rooms ---------------------------------------------------------------------------------------------------------

function enterRoom() {
  let wanted = "lobby";
  try {
    wanted = roomName(decodeURIComponent(location.hash.replace(/^#\/?/, ""))) || "lobby";
  } catch {
    // The address is not one of a room.
  }
  history.replaceState(null, "", `#/${encodeURIComponent(wanted)}`);
  if (wanted === room) return;
  outbox?.hold();
  ownTyping.stopped();
  drafts.set(room, text.value);

  room = wanted;
  since = undefined;
  me = undefined;
  people.clear();
  awaited.clear();
  othersTyping.clear();
  list.clear();
  text.value = drafts.get(room) ?? "";
  element("room-name").textContent = room;
  element("beginning-title").textContent = `Welcome to #${room}`;
  text.placeholder = `Write to #${room}`;
  drawer.close();
  resetUnread();
  measureText();
  showPresence();

  outbox = new Outbox(room, (message) => isWelcome && send(message));
  for (const message of outbox.messages) list.addWaiting(message);
  connectToRoom();
  document.body.classList.remove("away");
  if (matchMedia("(pointer: fine)").matches) text.focus();
}

// ---- The connection ------------------------------------------------------------------------------------------------

/** Connects to the room, also when there is a connection already: the new one takes its place. */
function connectToRoom() {
  leaving?.abort();
  leaving = new AbortController();
  const { signal } = leaving;
  socket?.close();
  isWelcome = false;
  outbox.hold();
  // The outbox keeps what is written meanwhile, because it also knows what the server has not confirmed.
  socket = connect(address, { queue: false, heartbeat: true, maxRetryMs: 15_000, giveUpCodes: [4003, 4004] });
  socket.addEventListener("open", sayHello, { signal });
  socket.addEventListener("message", ({ data }) => hear(JSON.parse(data)), { signal });
  socket.addEventListener("retry", lost, { signal });
  socket.addEventListener("close", lost, { signal });
}

/** The client asks for the address whenever it begins to connect. */
function address() {
  showState("connecting");
  return `/chat/${encodeURIComponent(room)}`;
}

function sayHello() {
  if (name) send({ type: "hello", name, key, since });
}

/** Returns false when there is no connection. */
function send(message) {
  if (socket?.readyState !== 1) return false;
  socket.send(JSON.stringify(message));
  return true;
}

/** The client has lost the connection. It tries again, unless it has given up. */
function lost({ type, code, delayMs }) {
  isWelcome = false;
  outbox.hold();
  othersTyping.clear();
  if (code === 4001) key = newKey(); // A copy of this tab has taken our place. With a new key, we are a second person.
  if (code === 4004) location.hash = "#/lobby";
  showState(type === "retry" ? "waiting" : "closed", delayMs);
}

// ---- Messages of the server ----------------------------------------------------------------------------------------

function hear(message) {
  switch (message.type) {
    case "welcome":
      return welcome(message);
    case "message":
      since = message.position ?? since;
      return heard(message.message);
    case "position":
      // We were too slow for the history of the room. A new connection brings what is left of it.
      if (!message.recovered) return connectToRoom();
      since = message.position;
      return;
    case "joined":
      people.set(message.person.id, message.person);
      if (!awaited.delete(message.person.id)) list.notice(`${message.person.name} joined`, message.at);
      return showPresence();
    case "left":
      people.delete(message.person.id);
      othersTyping.set(message.person, false);
      list.notice(`${message.person.name} left`, message.at);
      return showPresence();
    case "renamed":
      return renamed(message);
    case "typing":
      return othersTyping.set(message.person, message.on);
    case "rooms":
      rooms = message.rooms;
      return showRooms(rooms, room);
    case "error":
      return complaint(message);
  }
}

function welcome(message) {
  const isReturn = me !== undefined;
  awaitPeople(message.people);
  me = message.you;
  rooms = message.rooms;
  people.clear();
  for (const person of message.people) people.set(person.id, person);
  othersTyping.clear();
  showPresence();
  since = message.position;
  list.quietly(() => {
    if (!message.recovered) list.gap();
    for (const said of message.history) heard(said);
  });
  isWelcome = true;
  showState("open");
  outbox.flush();
  if (me.name !== name) note(`“${name}” is taken in this room, so you are “${me.name}” here.`);
  if (isReturn) announce("Connected again");
}

/** People who were here before the connection was lost are expected back, and are not announced when they come. */
function awaitPeople(present) {
  clearTimeout(awaitedTimer);
  // Those who were awaited before stay so: this may be the second connection in a row that is lost.
  for (const id of people.keys()) awaited.add(id);
  for (const person of present) awaited.delete(person.id);
  awaitedTimer = setTimeout(() => awaited.clear(), RETURN_MS);
}

function heard(message) {
  const isMine = message.from.id === me.id;
  const isNew = !list.has(message.id);
  list.add(message, isMine);
  if (isMine) outbox.remove(message.id);
  else othersTyping.set(message.from, false);
  if (isNew && !isMine && document.hidden) {
    unread++;
    showTitle();
  }
}

function renamed({ person, before, at }) {
  people.set(person.id, person);
  if (person.id === me.id) {
    me = person;
    if (me.name !== name) note(`“${name}” is taken in this room, so you are “${me.name}” here.`);
  }
  list.notice(person.id === me.id ? `You are now ${person.name}` : `${before} is now ${person.name}`, at);
  showPresence();
}

async function complaint({ code, message, id, retryAfterMs }) {
  if (code === "slow-down") {
    if (id) outbox.retryAfter(retryAfterMs);
  } else if (code === "bad-text") {
    list.refuse(id, message);
    outbox.remove(id);
  } else if (code === "bad-name") {
    if (me) return await chooseName(message);
    name = null;
    await chooseName(message);
    sayHello();
  } else {
    note(message);
  }
}

// ---- Actions of the person -----------------------------------------------------------------------------------------

element("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  const written = text.value.trim();
  if (written === "" || written.length > MAX_TEXT) return;
  const message = { id: randomToken(), text: written, at: Date.now() };
  text.value = "";
  ownTyping.stopped();
  measureText();
  list.addWaiting(message);
  outbox.add(message);
  text.focus();
});

text.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  element("composer").requestSubmit();
});

text.addEventListener("input", () => {
  measureText();
  if (text.value.trim() === "") ownTyping.stopped();
  else ownTyping.typed();
});

element("rename").addEventListener("click", async () => {
  if (await chooseName()) send({ type: "rename", name });
});

element("new-room").addEventListener("click", async () => {
  const chosen = await askRoom();
  if (chosen) location.hash = `#/${encodeURIComponent(chosen)}`;
});

element("share").addEventListener("click", async () => {
  try {
    await navigator.clipboard.writeText(location.href);
    note("The link is copied.");
  } catch {
    note(`The link to this room: ${location.href}`);
  }
});

element("retry").addEventListener("click", connectToRoom);
addEventListener("hashchange", enterRoom);
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) resetUnread();
});

async function chooseName(fault) {
  const chosen = await askName(name, fault);
  if (!chosen) return false;
  name = chosen;
  forever.set("name", name);
  showPresence();
  return true;
}

function newKey() {
  const token = randomToken();
  untilTabCloses.set("key", token);
  return token;
}

// ---- The screen ----------------------------------------------------------------------------------------------------

function showPresence() {
  showMe(me ?? { id: "0", name: name ?? "" });
  showPeople(people.values(), me?.id);
  showRooms(rooms, room);
  element("people-count").textContent = people.size === 0 ? "" : peopleCount(people.size);
}

function measureText() {
  const left = MAX_TEXT - text.value.trim().length;
  element("counter").textContent = left < MAX_TEXT - COUNT_FROM ? left : "";
  element("counter").classList.toggle("over", left < 0);
  text.ariaInvalid = String(left < 0);
  element("composer").classList.toggle("ready", left >= 0 && left < MAX_TEXT);
  if (!CSS.supports("field-sizing", "content")) {
    text.style.height = "auto";
    text.style.height = `${text.scrollHeight}px`;
  }
}

function resetUnread() {
  unread = 0;
  showTitle();
}

function showTitle() {
  document.title = `${unread > 0 ? `(${unread}) ` : ""}#${room} · SpaceNode chat`;
}

// The keyboard of an iPhone covers the page instead of shrinking it. Only the visual viewport shows that.
if (globalThis.visualViewport) {
  visualViewport.addEventListener("resize", () => {
    if (visualViewport.scale !== 1) return;
    document.documentElement.style.setProperty("--height", `${visualViewport.height}px`);
    scrollTo(0, 0);
  });
}

if (!name) await chooseName();
enterRoom();
