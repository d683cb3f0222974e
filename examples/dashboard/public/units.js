/** Figures as people read them: a number of three digits, and its unit. */

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat("en", { minimumSignificantDigits: 3, maximumSignificantDigits: 3 });
const tenths = new Intl.NumberFormat("en", { minimumFractionDigits: 1, maximumFractionDigits: 1 });

const PREFIXES = ["", "k", "M", "G", "T"];

/** The number in thousands, millions and so on, from `from` upwards, and the prefix of its unit. */
function scaled(value, from) {
  let power = 0;
  if (value >= from) {
    // What would be rounded to 1,000 has the next prefix.
    while (value >= 999.5 && power < PREFIXES.length - 1) {
      value /= 1_000;
      power++;
    }
  }
  const isWhole = power === 0;
  return [
    isWhole && value > 0 && value < 9.95 && value % 1 !== 0
      ? tenths.format(value)
      : isWhole
      ? whole.format(value)
      : short.format(value),
    PREFIXES[power],
  ];
}

/** How the figures of each kind are written: the number and the unit. */
const UNITS = {
  count: (value) => scaled(value, 99_999.5),
  perSecond: (value) => {
    const [number, prefix] = scaled(value, 9_999.5);
    return [number + prefix, "/s"];
  },
  bytes: (value) => {
    const [number, prefix] = scaled(Math.round(value), 999.5);
    return [number, `${prefix}B`];
  },
  bytesPerSecond: (value) => {
    const [number, prefix] = scaled(Math.round(value), 999.5);
    return [number, `${prefix}B/s`];
  },
  ms: (value) => {
    if (value >= 999.5) return [short.format(value / 1_000), "s"];
    return [value < 9.95 ? tenths.format(value) : whole.format(value), "ms"];
  },
};

/** The number and the unit of a figure. One that was not measured is a dash. */
export function format(value, unit) {
  return value === null || value === undefined ? ["–", ""] : UNITS[unit](value);
}

/** The label of a value on an axis: as short as it can be. */
export function axisLabel(value, unit) {
  if (value === 0) return "0";
  const [number, name] = format(value, unit);
  return `${number.replace(/(\.\d*?)0+(?=\D|$)/, "$1").replace(/\.(?=\D|$)/, "")} ${name}`.trim();
}

/** The time since the start, in its two largest units. */
export function duration(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1_000));
  const parts = [
    [Math.floor(seconds / 86_400), "d"],
    [Math.floor(seconds / 3_600) % 24, "h"],
    [Math.floor(seconds / 60) % 60, "min"],
    [seconds % 60, "s"],
  ];
  const first = parts.findIndex(([number]) => number > 0);
  return parts.slice(first, first === -1 ? undefined : first + 2).map((part) => part.join(" ")).join(" ");
}

const clock = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium" });

export function timeOfDay(ms) {
  return clock.format(ms);
}
