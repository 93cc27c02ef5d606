// Runs the model away from the page, so that clips go on playing while others are made.
//
// A classic worker: the runtime loads its WebAssembly by importScripts, which module workers lack.
// Takes {id, inputs: {name: Float32Array}}, gives {id, pixels: RGBA of all frames, milliseconds}.

let model = null;
let runtime = null;
let page = null;

self.onmessage = async ({ data }) => {
  try {
    if (data.page) {
      await load(data.page);
      self.postMessage({ ready: true });
    } else {
      await run(data);
    }
  } catch (error) {
    self.postMessage({ id: data.id, error: String(error?.message ?? error) });
  }
};

async function load(description) {
  page = description;
  const bytes = await fetchedModel(page.file);
  runtime = await import("./runtime/index.js");
  const folder = new URL("runtime/", self.location.href).href;
  self.Module = {
    locateFile: (file) => folder + file, // else it looks beside this worker
    printErr: (line) => /^(INFO|WARNING)/.test(line) || console.error(line),
  };
  await runtime.loadLiteRt(folder);
  const compiled = await runtime.loadAndCompile(bytes, { accelerator: "wasm" });
  model = compiled.signatures[page.signature] ?? compiled;
}

async function fetchedModel(file) {
  const response = await fetch(file);
  if (!response.ok) throw new Error(`${file} is missing (${response.status})`);
  return new Uint8Array(await response.arrayBuffer());
}

async function run({ id, inputs }) {
  const started = performance.now();
  const tensors = {};
  for (const { name, shape } of model.getInputDetails()) {
    tensors[name] = new runtime.Tensor(inputs[name], shape);
  }
  const outputs = await model.run(tensors);
  const video = await Object.values(outputs)[0].data();
  for (const each of [...Object.values(tensors), ...Object.values(outputs)]) each.delete();
  const pixels = toRgba(video);
  const milliseconds = performance.now() - started;
  self.postMessage({ id, pixels, milliseconds }, [pixels.buffer]);
}

// 8-bit RGBA of pixels in [-1, 1]; one channel is grey.
function toRgba(video) {
  const { channels } = page;
  const pixels = new Uint8ClampedArray((video.length / channels) * 4); // clamps, and rounds
  for (let from = 0, to = 0; from < video.length; from += channels, to += 4) {
    for (let c = 0; c < 3; c++) pixels[to + c] = (video[from + (c % channels)] + 1) * 127.5;
    pixels[to + 3] = 255;
  }
  return pixels;
}
