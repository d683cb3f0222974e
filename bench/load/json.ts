/**
 * JSON as a chat server sends it. The texts are the same in every run, so that the bytes on the wire can be compared.
 */

const people = ["Zoë", "Łukasz", "María", "Søren", "Ольга", "美咲", "지우", "Ada", "Bram", "İpek", "Noor", "Chidi"];
const rooms = ["lobby", "кухня", "release-2026", "café", "ops", "読書会"];
const words =
  `the of and to in is you that it was for on are with as his they be at one have this from or had by hot but some what
  there we can out other were all your when up use word how said an each she which do their time if will way about many
  then them would write like so these her long make thing see him two has look more day could go come did my sound no
  most number who over know water than call first people may down side been now find release build deploy queue meeting
  schön grüße über später müssen natürlich déjà été peut-être bientôt français mañana señor también corazón źródło
  część właśnie привет сегодня хорошо работа спасибо 再见 今天 我们 没问题 ありがとう 資料 会議 안녕하세요 감사합니다 🛰️ 🎉 👍`
    .split(/\s+/);

/** Returns the next number, from 0 up to but not including `below`. */
type Draw = (below: number) => number;

/** A generator of pseudo-random whole numbers (Marsaglia's xorshift): the same seed gives the same numbers. */
function drawing(seed: number): Draw {
  let state = Math.imul(seed + 1, 0x9e3779b1) | 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

function hex(draw: Draw, digits: number): string {
  return Array.from({ length: digits }, () => draw(16).toString(16)).join("");
}

function sentence(draw: Draw, length: number): string {
  return Array.from({ length }, () => words[draw(words.length)]).join(" ");
}

function message(draw: Draw, at: number): object {
  return {
    id: hex(draw, 12),
    from: people[draw(people.length)],
    room: rooms[draw(rooms.length)],
    text: sentence(draw, 4 + draw(10)),
    at: 1_790_000_000_000 + at * 60_000 + draw(60_000),
    ...(draw(4) === 0 && { replyTo: hex(draw, 12), likes: draw(40) }),
  };
}

/** A page of a chat's history, exactly `bytes` long in UTF-8; about one character in twenty is not ASCII. */
export function jsonText(bytes: number, seed: number): Buffer {
  const draw = drawing(seed);
  const messages: string[] = [];
  const render = (note: string): Buffer =>
    Buffer.from(`{"type":"history","page":${seed},"note":"${note}","messages":[${messages}]}`);
  const empty = render("").length;
  for (let used = empty;;) {
    const next = JSON.stringify(message(draw, messages.length));
    used += Buffer.byteLength(next) + 1;
    if (used > bytes) break;
    messages.push(next);
  }
  const missing = bytes - render("").length;
  let note = "";
  for (let word = ""; Buffer.byteLength(note + word) <= missing; word = `${words[draw(words.length)]} `) note += word;
  return render(note + ".".repeat(missing - Buffer.byteLength(note)));
}
