// The page: reads what there is to show, joins the panels, and keeps clips made as the state asks.

import { Ends } from "./ends.js";
import { Generator } from "./generator.js";
import { Grid } from "./grid.js";
import { listenToKeys } from "./keys.js";
import { inputsOf, noiseOfClip, noiseOfViewer, rowOf } from "./latents.js";
import { saveGif } from "./pictures.js";
import { Redraw } from "./redraw.js";
import { Screen } from "./screen.js";
import { Sliders } from "./sliders.js";
import { fromHash, toHash } from "./state.js";
import { Transport } from "./transport.js";

export const byId = (id) => document.getElementById(id);

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
    this.ends = page.ends ? new Ends(this) : null;
    this.panels = [this.grid, this.redraw, this.sliders, this.transport, this.ends].filter(Boolean);
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
      this.ends?.load().then(() => this.changed(), tellFault);
    });
  }

  async start() {
    await Promise.all([this.generator.start(), this.ends?.load()]);
    byId("status").hidden = true;
    for (const id of ["main", "footer"]) byId(id).hidden = false;
    this.changed();
    this.transport.run();
    setInterval(() => this.tellTiming(), 1000);
  }

  // After any change of the state: panels and address follow, and clips are made.
  changed() {
    for (const panel of this.panels) panel.show();
    clearTimeout(this.writing);
    this.writing = setTimeout(() => this.writeAddress(), 250); // browsers limit how often
    this.wish();
  }

  writeAddress() {
    clearTimeout(this.writing);
    history.replaceState(null, "", location.pathname + toHash(this.state, this.page));
  }

  // What a clip is made of, in short: equal texts are equal clips.
  recipe(clip) {
    const { state } = this;
    const rows = ["content", "motion"].map((role) => rowOf(state, clip, role));
    return JSON.stringify([
      state.content, state.motion, rows, state.moves[rows[0]], state.category,
      this.page.ends && [state.temperature, this.ends.version],
    ]);
  }

  wish() {
    const { page, state } = this;
    if (this.ends && !this.ends.ready) return;
    this.grid.screens.forEach((screen, clip) => {
      this.make(`clip ${clip}`, screen, this.recipe(clip), clip === state.a, () =>
        noiseOfClip(page, state, clip),
      );
    });
    const still = state.between === 0 || state.a === state.b;
    const ways = [this.recipe(state.a), ...(still ? [] : [this.recipe(state.b), state.between])];
    const chosen = this.grid.screens[state.a];
    if (!still) {
      this.make("viewer", this.viewer, ways.join(), true, () => noiseOfViewer(page, state));
    } else if (chosen.pixels) {
      this.viewer.wanted = null;
      this.viewer.pixels = chosen.pixels;
      this.viewer.draw(state.frame);
    }
  }

  async make(key, screen, recipe, urgent, noise) {
    if (screen.wanted === recipe) return;
    screen.wanted = recipe;
    const order = (screen.asked = (screen.asked ?? 0) + 1);
    const inputs = inputsOf(this.page, this.state, noise(), this.ends?.pictures);
    try {
      const pixels = await this.generator.make(key, inputs, urgent);
      if (!pixels || order < (screen.shown ?? 0) || screen.wanted === null) return;
      screen.shown = order;
      screen.pixels = pixels;
      screen.draw(this.state.frame);
      screen.canvas.dataset.made = screen.wanted === recipe ? "newest" : "older";
      if (screen === this.grid.screens[this.state.a]) this.wish(); // the viewer shows it, too
    } catch (error) {
      tellFault(error);
    }
  }

  draw() {
    for (const screen of [this.viewer, ...this.grid.screens]) screen.draw(this.state.frame);
  }

  save(screens, what) {
    if (screens.some((screen) => !screen.pixels)) return;
    const clips = screens.map((screen) => screen.frames);
    const name = `${this.page.model}-${what}-${this.state.content}.gif`;
    tell("Making a GIF …");
    setTimeout(() => {
      saveGif(clips, this.page, this.page.fps * this.state.speed, name);
      tell(`Saved ${name}`);
    }, 30);
  }

  async copyLink() {
    this.writeAddress();
    const own = this.ends && this.state.ends.includes(null) ? " Your own pictures are not in it." : "";
    try {
      await navigator.clipboard.writeText(location.href);
      tell(`Link copied.${own}`);
    } catch {
      tell(`The link is in the address line.${own}`); // without https there is no clipboard
    }
  }

  tellTiming() {
    this.took = this.took.slice(-30);
    if (!this.took.length) return;
    const middle = [...this.took].sort((a, b) => a - b)[this.took.length >> 1];
    const rate = Math.round((1000 * this.page.frames) / middle);
    const shown = this.transport.shownPerSecond();
    byId("timing").textContent =
      `${middle.toFixed(0)} ms a clip · ${rate} frames a second made · ${shown} shown`;
  }
}

export function tell(text) {
  const toast = byId("toast");
  toast.textContent = text;
  toast.classList.add("shown");
  clearTimeout(tell.timer);
  tell.timer = setTimeout(() => toast.classList.remove("shown"), 2500);
}

export function tellFault(error) {
  const status = byId("status");
  status.hidden = false;
  status.className = "fault";
  status.setAttribute("role", "alert");
  status.textContent = String(error?.message ?? error).split("\n")[0];
}

function introduce(page) {
  const millions = (page.parameters / 1e6).toFixed(page.parameters < 1e6 ? 2 : 1);
  byId("title").textContent = `${page.model} · ${page.dataset}`;
  document.title = `${page.model} · ${page.dataset}`;
  byId("about").textContent =
    `${page.frames} frames of ${page.width}×${page.height} at ${page.fps} a second, ` +
    `${millions} M weights, drawn in this browser`;
  const data = [page.dataset, page.licence, page.source].filter(Boolean).join(", ");
  byId("credit").textContent = `Data: ${data}. Runtime: LiteRT.js, Apache 2.0.`;
}

async function main() {
  if (typeof WebAssembly !== "object") {
    throw new Error("This browser has no WebAssembly, which runs the model: use a newer one.");
  }
  const response = await fetch("model.json").catch(() => {
    throw new Error("model.json cannot be read: open the folder by python -m http.server.");
  });
  if (!response.ok) throw new Error(`model.json is missing (${response.status}): make the folder anew.`);
  const page = await response.json();
  if (page.format !== "kerasvid-web" || page.format_version !== 1) {
    throw new Error("model.json is of another version than the page: make the folder anew.");
  }
  introduce(page);
  byId("status").textContent = "Loading the model and its runtime …";
  await new Page(page).start();
}

main().catch((error) => {
  tellFault(new Error(`Cannot start: ${error?.message ?? error}`));
});
