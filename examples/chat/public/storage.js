/** Values that the browser remembers. If a browser refuses storage, the chat forgets them but still works. */

export const forever = remembering(() => localStorage);
export const untilTabCloses = remembering(() => sessionStorage);

function remembering(storage) {
  return {
    get(name) {
      try {
        return JSON.parse(storage().getItem(`chat.${name}`));
      } catch {
        return null;
      }
    },
    set(name, value) {
      try {
        storage().setItem(`chat.${name}`, JSON.stringify(value));
      } catch {
        // Storage is full or switched off.
      }
    },
  };
}
