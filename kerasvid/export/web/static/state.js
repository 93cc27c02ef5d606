// The state of the page as a part of its address: seeds, sliders, interpolation, playing.
//
// Only what differs from the defaults is written, e.g. `#content=7&motion=3&a=2&move=2.0:1.5`.

export const LARGEST_SEED = 2 ** 32 - 1;

export function defaults(page) {
  return {
    content: 1, // seeds
    motion: 1,
    oneContent: null, // the row whose content all clips share
    oneMotion: null,
    a: 0, // the clip in the viewer, and the one to interpolate to
    b: Math.min(1, page.clips - 1),
    between: 0, // position between the two, 0 to 1
    moves: {}, // {row: {direction: standard deviations}}
    category: null,
    temperature: 1,
    endpoints: page.examples.length ? [0, 0] : [null, null], // numbers of examples; null for the user's own image
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

// The state in an address. What is missing or malformed gets its default.
export function fromHash(hash, page) {
  const given = new URLSearchParams(hash.replace(/^#/, ""));
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
    endpoints: (t) => endpointsOf(t, page),
  };
  for (const [name, read] of Object.entries(readers)) {
    if (given.has(name)) state[name] = read(given.get(name)) ?? state[name];
  }
  return state;
}

function endpointsOf(text, page) {
  const endpoints = text.split(",").map((each) => whole(each, 0, page.examples.length - 1));
  return endpoints.length === 2 && !endpoints.includes(null) ? endpoints : null;
}

const short = (value) => String(Math.round(value * 1000) / 1000);

const writers = {
  moves: (moves) =>
    Object.entries(moves)
      .flatMap(([row, own]) => Object.entries(own).map(([d, v]) => `${row}.${d}:${short(v)}`))
      .join(","),
  endpoints: (endpoints) => (endpoints.includes(null) ? "" : endpoints.join(",")),
  playing: (playing) => (playing ? "1" : "0"),
};

// The address of a state, `""` or `"#..."`. The frame is a part of it only while the clip is paused.
export function toHash(state, page) {
  const usual = defaults(page);
  const parts = [];
  for (const name of Object.keys(usual)) {
    if (name === "frame" && state.playing) continue;
    const write = writers[name] ?? ((v) => (v === null ? "" : short(v)));
    const text = write(state[name]);
    if (text !== "" && text !== write(usual[name])) parts.push(`${name}=${text}`);
  }
  return parts.length ? `#${parts.join("&")}` : "";
}
