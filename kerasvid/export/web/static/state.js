// What is seen, as a part of the page's address: seeds, sliders, the way between clips, playing.
//
// Only what differs from the defaults is written, e.g. `#content=7&motion=3&a=2&move=2.0:1.5`.

export const LARGEST_SEED = 2 ** 32 - 1;

export function defaults(page) {
  return {
    content: 1, // seeds
    motion: 1,
    oneContent: null, // the row whose content all clips show
    oneMotion: null,
    a: 0, // the clip in the viewer, and where the way to go leads
    b: Math.min(1, page.clips - 1),
    between: 0, // the fraction of that way
    moves: {}, // {row: {direction: deviations}}
    category: null,
    temperature: 1,
    ends: page.examples.length ? [0, 0] : [null, null], // examples, null for a picture of one's own
    playing: true,
    frame: 0,
    speed: 1,
  };
}

const within = (low, high, value) => Math.min(high, Math.max(low, value));

function whole(text, low, high) {
  const value = Number(text);
  return text !== "" && Number.isInteger(value) && value >= low && value <= high ? value : null;
}

function number(text, low, high) {
  const value = Number(text);
  return text !== "" && Number.isFinite(value) ? within(low, high, value) : null;
}

function movesOf(text, page) {
  const moves = {};
  for (const entry of text.split(",")) {
    const found = /^(\d+)\.(\d+):(-?[\d.]+)$/.exec(entry);
    if (!found) continue;
    const [row, direction] = [whole(found[1], 0, page.clips - 1), Number(found[2])];
    const value = number(found[3], -3, 3);
    if (row === null || value === null || direction >= page.directions.length) continue;
    (moves[row] ??= {})[direction] = value;
  }
  return moves;
}

// The state that an address tells; what it does not tell, or tells wrongly, is as by default.
export function fromHash(hash, page) {
  const told = new URLSearchParams(hash.replace(/^#/, ""));
  const state = defaults(page);
  const readers = {
    content: (t) => whole(t, 0, LARGEST_SEED),
    motion: (t) => whole(t, 0, LARGEST_SEED),
    oneContent: (t) => whole(t, 0, page.clips - 1),
    oneMotion: (t) => whole(t, 0, page.clips - 1),
    a: (t) => whole(t, 0, page.clips - 1),
    b: (t) => whole(t, 0, page.clips - 1),
    between: (t) => number(t, 0, 1),
    moves: (t) => movesOf(t, page),
    category: (t) => whole(t, 0, (page.categories?.length ?? 0) - 1),
    temperature: (t) => number(t, 0, 2),
    frame: (t) => whole(t, 0, page.frames - 1),
    speed: (t) => number(t, 0.25, 4),
    playing: (t) => t !== "0",
    ends: (t) => endsOf(t, page),
  };
  for (const [name, read] of Object.entries(readers)) {
    if (told.has(name)) state[name] = read(told.get(name)) ?? state[name];
  }
  return state;
}

function endsOf(text, page) {
  const ends = text.split(",").map((each) => whole(each, 0, page.examples.length - 1));
  return ends.length === 2 && !ends.includes(null) ? ends : null;
}

const short = (value) => String(Math.round(value * 1000) / 1000);

const told = {
  moves: (moves) =>
    Object.entries(moves)
      .flatMap(([row, own]) => Object.entries(own).map(([d, v]) => `${row}.${d}:${short(v)}`))
      .join(","),
  ends: (ends) => (ends.includes(null) ? "" : ends.join(",")),
  playing: (playing) => (playing ? "1" : "0"),
};

// The address of a state, `""` or `"#..."`. The frame is told where it stands still.
export function toHash(state, page) {
  const usual = defaults(page);
  const parts = [];
  for (const name of Object.keys(usual)) {
    if (name === "frame" && state.playing) continue;
    const tell = told[name] ?? ((v) => (v === null ? "" : short(v)));
    const text = tell(state[name]);
    if (text !== "" && text !== tell(usual[name])) parts.push(`${name}=${text}`);
  }
  return parts.length ? `#${parts.join("&")}` : "";
}
