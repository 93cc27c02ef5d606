// The page: reads model.json, connects the panels, and makes the clips that the state asks for.

import { byId, notify, showError } from "./document.js";
import { Endpoints } from "./endpoints.js";
import { Generator } from "./generator.js";
import { Grid } from "./grid.js";
import { saveGif } from "./images.js";
import { listenToKeys } from "./keys.js";
import { inputsOf, noiseOfClip, noiseOfViewer, rowOf } from "./latents.js";
import { Redraw } from "./redraw.js";
import { Screen } from "./screen.js";
import { Sliders } from "./sliders.js";
import { fromHash, toHash } from "./state.js";
import { Transport } from "./transport.js";

class Page {
  constructor(page) {
    this.page = page;
    this.state = fromHash(location.hash, page);
    if (matchMedia("(prefers-reduced-motion: reduce)").matches && !/playing=1/.test(location.hash)) {
      this.state.playing = false;
    }
    this.took = []; // milliseconds of the last clips
    this.viewer = new Screen(byId("viewer"), page);
    this.generator = new Generator(page, (milliseconds) => this.took.push(milliseconds));
    this.grid = new Grid(this);
    this.redraw = new Redraw(this);
    this.sliders = new Sliders(this);
    this.transport = new Transport(this);
    this.endpoints = page.endpoints ? new Endpoints(this) : null;
    this.panels = [this.grid, this.redraw, this.sliders, this.transport, this.endpoints].filter(Boolean);
    listenToKeys(this);
    byId("save-clip").onclick = () => this.save([this.viewer], "clip");
    byId("save-grid").onclick = () => this.save(this.grid.screens, "clips");
    byId("copy").onclick = () => this.copyLink();
    byId("save-grid").hidden = page.clips === 1;
    addEventListener("hashchange", () => {
      this.state = fromHash(location.hash, page);
      this.transport.phase = this.state.frame;
      this.changed();
      this.draw();
      this.endpoints?.load().then(() => this.changed(), showError);
    });
  }

  async start() {
    await Promise.all([this.generator.start(), this.endpoints?.load()]);
    byId("status").hidden = true;
    for (const id of ["main", "footer"]) byId(id).hidden = false;
    this.changed();
    this.transport.run();
    setInterval(() => this.showTiming(), 1000);
  }

  // After any change of the state: updates panels and address, and makes clips.
  changed() {
    for (const panel of this.panels) panel.show();
    clearTimeout(this.writing);
    this.writing = setTimeout(() => this.writeAddress(), 250); // browsers limit how often
    this.request();
  }

  writeAddress() {
    clearTimeout(this.writing);
    history.replaceState(null, "", location.pathname + toHash(this.state, this.page));
  }

  // A text of everything that a clip depends on: equal texts are equal clips.
  keyOf(clip) {
    const { state } = this;
    const rows = ["content", "motion"].map((role) => rowOf(state, clip, role));
    return JSON.stringify([
      state.content, state.motion, rows, state.moves[rows[0]], state.category,
      this.page.endpoints && [state.temperature, this.endpoints.version],
    ]);
  }

  request() {
    const { page, state } = this;
    if (this.endpoints && !this.endpoints.ready) return;
    this.grid.screens.forEach((screen, clip) => {
      this.make(`clip ${clip}`, screen, this.keyOf(clip), clip === state.a, () =>
        noiseOfClip(page, state, clip),
      );
    });
    const alone = state.between === 0 || state.a === state.b;
    const keys = [this.keyOf(state.a), ...(alone ? [] : [this.keyOf(state.b), state.between])];
    const chosen = this.grid.screens[state.a];
    if (!alone) {
      this.make("viewer", this.viewer, keys.join(), true, () => noiseOfViewer(page, state));
    } else if (chosen.pixels) {
      this.viewer.wanted = null;
      this.viewer.pixels = chosen.pixels;
      this.viewer.draw(state.frame);
    }
  }

  async make(name, screen, key, urgent, noise) {
    if (screen.wanted === key) return;
    screen.wanted = key;
    const order = (screen.asked = (screen.asked ?? 0) + 1);
    const inputs = inputsOf(this.page, this.state, noise(), this.endpoints?.images);
    try {
      const pixels = await this.generator.make(name, inputs, urgent);
      if (!pixels || order < (screen.shown ?? 0) || screen.wanted === null) return;
      screen.shown = order;
      screen.pixels = pixels;
      screen.draw(this.state.frame);
      screen.canvas.dataset.made = screen.wanted === key ? "newest" : "older";
      if (screen === this.grid.screens[this.state.a]) this.request(); // the viewer shows it, too
    } catch (error) {
      showError(error);
    }
  }

  draw() {
    for (const screen of [this.viewer, ...this.grid.screens]) screen.draw(this.state.frame);
  }

  save(screens, what) {
    if (screens.some((screen) => !screen.pixels)) return;
    const clips = screens.map((screen) => screen.frames);
    const name = `${this.page.model}-${what}-${this.state.content}.gif`;
    notify("Making a GIF …");
    setTimeout(() => {
      saveGif(clips, this.page, this.page.fps * this.state.speed, name);
      notify(`Saved ${name}`);
    }, 30);
  }

  async copyLink() {
    this.writeAddress();
    const note = this.endpoints && this.state.endpoints.includes(null) ? " It does not hold your own images." : "";
    try {
      await navigator.clipboard.writeText(location.href);
      notify(`Link copied.${note}`);
    } catch {
      notify(`Copy the link from the address line.${note}`); // without https there is no clipboard
    }
  }

  showTiming() {
    this.took = this.took.slice(-30);
    if (!this.took.length) return;
    const middle = [...this.took].sort((a, b) => a - b)[this.took.length >> 1];
    const rate = Math.round((1000 * this.page.frames) / middle);
    const shown = this.transport.shownPerSecond();
    byId("timing").textContent =
      `${middle.toFixed(0)} ms a clip · ${rate} frames per second computed, ${shown} shown`;
  }
}

function introduce(page) {
  const millions = (page.parameters / 1e6).toFixed(page.parameters < 1e6 ? 2 : 1);
  byId("title").textContent = `${page.model} · ${page.dataset}`;
  document.title = `${page.model} · ${page.dataset}`;
  byId("about").textContent =
    `${page.frames} frames of ${page.width}×${page.height}, ${page.fps} frames per second, ` +
    `${millions} M weights, computed in this browser`;
  const data = [page.dataset, page.licence, page.source].filter(Boolean).join(", ");
  byId("credit").textContent = `Data: ${data}. Runtime: LiteRT.js, Apache 2.0.`;
}

async function main() {
  if (typeof WebAssembly !== "object") {
    throw new Error("This browser has no WebAssembly, which runs the model. Use a newer one.");
  }
  const response = await fetch("model.json").catch(() => {
    throw new Error("model.json cannot be read. Open the folder with python -m http.server.");
  });
  if (!response.ok) throw new Error(`model.json is missing (${response.status}). Make the folder again.`);
  const page = await response.json();
  if (page.format !== "kerasvid-web" || page.format_version !== 2) {
    throw new Error("model.json has another version than the page. Make the folder again.");
  }
  introduce(page);
  byId("status").textContent = "Loading the model and its runtime …";
  await new Page(page).start();
}

main().catch((error) => {
  showError(new Error(`Cannot start: ${error?.message ?? error}`));
});
