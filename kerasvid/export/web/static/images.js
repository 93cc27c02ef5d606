// Images in and out: first and last frames from files, clips as GIF files.

import { encodeGif } from "./gif.js";

// An image as the model takes it: [canvas, Float32Array in [-1, 1]], cropped to its middle.
export async function asFrame(source, page) {
  const image = await createImageBitmap(source).catch(() => {
    throw new Error("The browser cannot read that file as an image. Try a PNG or a JPEG.");
  });
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [page.width, page.height];
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const scale = Math.max(page.width / image.width, page.height / image.height);
  const [width, height] = [page.width / scale, page.height / scale];
  context.fillStyle = "black"; // behind transparent pixels, as when a data set is made
  context.fillRect(0, 0, page.width, page.height);
  context.imageSmoothingQuality = "high";
  context.drawImage(
    image,
    (image.width - width) / 2, (image.height - height) / 2, width, height,
    0, 0, page.width, page.height,
  );
  const rgba = context.getImageData(0, 0, page.width, page.height).data;
  return [canvas, floats(rgba, page.channels)];
}

function floats(rgba, channels) {
  const values = new Float32Array((rgba.length / 4) * channels);
  for (let from = 0, to = 0; from < rgba.length; from += 4, to += channels) {
    const [r, g, b] = rgba.subarray(from, from + 3);
    const parts = channels === 3 ? [r, g, b] : [0.299 * r + 0.587 * g + 0.114 * b];
    parts.forEach((part, c) => (values[to + c] = part / 127.5 - 1));
  }
  return values;
}

// An image whose pixels are squares of side `scale`.
export function enlarged(frame, width, height, scale) {
  const from = new Uint32Array(frame.buffer, frame.byteOffset, width * height);
  const to = new Uint32Array(width * height * scale * scale);
  for (let y = 0, at = 0; y < height * scale; y++) {
    const row = Math.floor(y / scale) * width;
    for (let x = 0; x < width * scale; x++) to[at++] = from[row + Math.floor(x / scale)];
  }
  return new Uint8Array(to.buffer);
}

// Images of the same size side by side, `columns` in a row, with a gap around each.
export function tiled(frames, width, height, columns, gap) {
  const rows = Math.ceil(frames.length / columns);
  const [wide, high] = [columns * (width + gap) + gap, rows * (height + gap) + gap];
  const sheet = new Uint8Array(wide * high * 4).fill(255);
  frames.forEach((frame, number) => {
    const left = gap + (number % columns) * (width + gap);
    const top = gap + Math.floor(number / columns) * (height + gap);
    for (let y = 0; y < height; y++) {
      sheet.set(frame.subarray(y * width * 4, (y + 1) * width * 4), ((top + y) * wide + left) * 4);
    }
  });
  return [sheet, wide, high];
}

// Saves clips that play at the same time as one GIF. clips: of each, RGBA a frame.
export function saveGif(clips, page, framesPerSecond, name) {
  const columns = Math.round(Math.sqrt(clips.length * 1.5));
  const scale = Math.max(1, Math.floor((clips.length > 1 ? 160 : 320) / page.width));
  let [wide, high] = [0, 0];
  const sheets = clips[0].map((_, time) => {
    const frames = clips.map((clip) => enlarged(clip[time], page.width, page.height, scale));
    const gap = clips.length > 1 ? 2 * scale : 0;
    const sheet = tiled(frames, page.width * scale, page.height * scale, columns, gap);
    [, wide, high] = sheet;
    return sheet[0];
  });
  const delay = Math.max(2, Math.round(100 / framesPerSecond)); // browsers slow down below 2
  const link = document.createElement("a");
  const address = URL.createObjectURL(
    new Blob([encodeGif(sheets, wide, high, delay)], { type: "image/gif" }),
  );
  [link.href, link.download] = [address, name];
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 60000);
}
