// Animated GIFs: up to 256 colours for the whole animation, LZW, endless repetition.
//
// Images of at most 256 colours are kept exactly. The colours of others are grouped: the box with
// the largest squared error is cut at its mean until there are 256 boxes.

// frames: RGBA arrays of width * height pixels; delay: of a frame, in hundredths of a second.
export function encodeGif(frames, width, height, delay) {
  const { palette, indexOf } = paletteOf(frames);
  const bits = Math.max(2, Math.ceil(Math.log2(Math.max(2, palette.length))));
  const out = new ByteSink();
  out.text("GIF89a");
  out.words(width, height);
  out.bytes(0xf0 | (bits - 1), 0, 0); // a global table of 2^bits colours
  for (let i = 0; i < 1 << bits; i++) out.bytes(...(palette[i] ?? [0, 0, 0]));
  out.bytes(0x21, 0xff, 11);
  out.text("NETSCAPE2.0");
  out.bytes(3, 1, 0, 0, 0); // for ever
  for (const frame of frames) {
    out.bytes(0x21, 0xf9, 4, 0x04, delay & 255, delay >> 8, 0, 0);
    out.bytes(0x2c, 0, 0, 0, 0);
    out.words(width, height);
    out.bytes(0, bits);
    out.blocks(compressed(indicesOf(frame, indexOf), bits));
  }
  out.bytes(0x3b);
  return out.array();
}

class ByteSink {
  constructor() {
    this.all = [];
  }
  bytes(...values) {
    this.all.push(Uint8Array.from(values));
  }
  words(...values) {
    for (const value of values) this.bytes(value & 255, value >> 8);
  }
  text(characters) {
    this.all.push(new TextEncoder().encode(characters));
  }
  blocks(data) {
    for (let start = 0; start < data.length; start += 255) {
      const block = data.subarray(start, start + 255);
      this.bytes(block.length);
      this.all.push(block);
    }
    this.bytes(0);
  }
  array() {
    const joined = new Uint8Array(this.all.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    for (const part of this.all) {
      joined.set(part, at);
      at += part.length;
    }
    return joined;
  }
}

// LZW as GIF has it: codes of growing width, the least significant bit first.
function compressed(indices, bits) {
  const clear = 1 << bits;
  const end = clear + 1;
  const data = new Uint8Array(Math.ceil((indices.length * 12) / 8) + 64 + indices.length / 1000);
  let at = 0;
  let held = 0; // bits that do not fill a byte yet
  let count = 0;
  let width = bits + 1;
  let next = end + 1;
  let known = new Map();
  const emit = (code) => {
    held |= code << count;
    count += width;
    while (count >= 8) {
      data[at++] = held & 255;
      held >>>= 8;
      count -= 8;
    }
  };
  emit(clear);
  let prefix = indices[0];
  for (let i = 1; i < indices.length; i++) {
    const key = (prefix << 8) | indices[i];
    const longer = known.get(key);
    if (longer !== undefined) {
      prefix = longer;
      continue;
    }
    emit(prefix);
    if (next === 4096) {
      emit(clear);
      [next, width, known] = [end + 1, bits + 1, new Map()];
    } else {
      if (next >= 1 << width) width++;
      known.set(key, next++);
    }
    prefix = indices[i];
  }
  emit(prefix);
  // The decoder has added a code by now, which may have widened what comes.
  if (next === 1 << width && width < 12) width++;
  emit(end);
  if (count > 0) data[at++] = held & 255;
  return data.subarray(0, at);
}

function indicesOf(frame, indexOf) {
  const indices = new Uint8Array(frame.length / 4);
  for (let i = 0; i < indices.length; i++) {
    indices[i] = indexOf(frame[4 * i], frame[4 * i + 1], frame[4 * i + 2]);
  }
  return indices;
}

function paletteOf(frames) {
  return exactPalette(frames) ?? cutPalette(frames);
}

function exactPalette(frames) {
  const known = new Map();
  for (const frame of frames) {
    for (let i = 0; i < frame.length; i += 4) {
      const color = (frame[i] << 16) | (frame[i + 1] << 8) | frame[i + 2];
      if (known.has(color)) continue;
      if (known.size === 256) return null;
      known.set(color, known.size);
    }
  }
  const palette = [...known.keys()].map((c) => [c >> 16, (c >> 8) & 255, c & 255]);
  return { palette, indexOf: (r, g, b) => known.get((r << 16) | (g << 8) | b) };
}

// Colours to 6 bits a channel, in boxes.
function cutPalette(frames) {
  const binOf = (r, g, b) => ((r >> 2) << 12) | ((g >> 2) << 6) | (b >> 2);
  const sums = new Map(); // [count, red, green, blue] of each bin
  for (const frame of frames) {
    for (let i = 0; i < frame.length; i += 4) {
      const bin = binOf(frame[i], frame[i + 1], frame[i + 2]);
      let sum = sums.get(bin);
      if (!sum) sums.set(bin, (sum = [0, 0, 0, 0]));
      sum[0]++;
      for (let c = 0; c < 3; c++) sum[c + 1] += frame[i + c];
    }
  }
  const colors = [...sums.values()].map(([n, ...rgb]) => ({ n, rgb: rgb.map((s) => s / n) }));
  const boxes = [boxOf(colors)];
  while (boxes.length < 256) {
    const worst = boxes.reduce((a, b) => (b.error > a.error ? b : a));
    if (worst.error <= 0) break;
    const { axis, mean } = worst;
    boxes.splice(boxes.indexOf(worst), 1, ...[
      boxOf(worst.colors.filter((color) => color.rgb[axis] <= mean[axis])),
      boxOf(worst.colors.filter((color) => color.rgb[axis] > mean[axis])),
    ]);
  }
  const palette = boxes.map((box) => box.mean.map(Math.round));
  const nearest = new Map();
  const indexOf = (r, g, b) => {
    const bin = binOf(r, g, b);
    if (!nearest.has(bin)) nearest.set(bin, nearestOf(palette, [r, g, b]));
    return nearest.get(bin);
  };
  return { palette, indexOf };
}

// A box's mean, its axis of the largest squared error, and that error; 0 where it is one colour.
function boxOf(colors) {
  const n = colors.reduce((sum, color) => sum + color.n, 0);
  const [mean, spread] = [[0, 0, 0], [0, 0, 0]];
  for (const color of colors) for (let c = 0; c < 3; c++) mean[c] += (color.n * color.rgb[c]) / n;
  for (const color of colors) {
    for (let c = 0; c < 3; c++) spread[c] += color.n * (color.rgb[c] - mean[c]) ** 2;
  }
  const axis = spread.indexOf(Math.max(...spread));
  const split = colors.some((color) => color.rgb[axis] > mean[axis]); // lest rounding leaves one
  return { colors, mean, axis, error: colors.length > 1 && split ? spread[axis] : 0 };
}

function nearestOf(palette, [r, g, b]) {
  let [best, least] = [0, Infinity];
  palette.forEach(([pr, pg, pb], i) => {
    const distance = (pr - r) ** 2 + (pg - g) ** 2 + (pb - b) ** 2;
    if (distance < least) [best, least] = [i, distance];
  });
  return best;
}
