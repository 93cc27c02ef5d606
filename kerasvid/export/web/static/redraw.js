// Seeds: new ones for all, content or motion, and one content or motion for all clips.

import { byId } from "./document.js";
import { LARGEST_SEED } from "./state.js";

export class Redraw {
  constructor(app) {
    this.app = app;
    this.seed = byId("seed");
    this.category = byId("category");
    const roles = new Set(app.page.noise.map((each) => each.role));
    const both = roles.has("content") && roles.has("motion");
    byId("draw").classList.toggle("of-one", app.page.clips === 1);
    byId("redraw-all").hidden = app.page.noise.length === 0;
    for (const id of ["of-content", "of-motion"]) byId(id).hidden = !both;
    byId("redraw-all").onclick = () => this.redraw("content", "motion");
    byId("redraw-content").onclick = () => this.redraw("content");
    byId("redraw-motion").onclick = () => this.redraw("motion");
    byId("one-content").onclick = () => this.toggle("oneContent");
    byId("one-motion").onclick = () => this.toggle("oneMotion");
    this.seed.onchange = () => this.setSeed(this.seed.value);
    this.showCategories(app.page.categories);
  }

  showCategories(names) {
    byId("category-row").hidden = names.length === 0;
    this.category.append(new Option("random", ""), ...names.map((name, i) => new Option(name, i)));
    this.category.onchange = () => {
      this.app.state.category = this.category.value === "" ? null : Number(this.category.value);
      this.app.changed();
    };
  }

  // New seeds for these kinds of noise; new content resets the sliders.
  redraw(...kinds) {
    const drawn = crypto.getRandomValues(new Uint32Array(1))[0] % 1000000;
    for (const kind of kinds) this.app.state[kind] = drawn;
    if (kinds.includes("content")) this.app.state.moves = {};
    this.app.changed();
  }

  // One number for both seeds, or two with a slash between.
  setSeed(text) {
    const parts = text.trim().split(/\s*\/\s*/);
    const seeds = parts.map((part) => (/^\d+$/.test(part) ? Number(part) : NaN));
    const fits = seeds.length <= 2 && seeds.every((seed) => seed <= LARGEST_SEED);
    this.seed.setAttribute("aria-invalid", String(!fits));
    if (!fits) return;
    [this.app.state.content, this.app.state.motion] = [seeds[0], seeds.at(-1)];
    this.app.state.moves = {};
    this.app.changed();
  }

  toggle(name) {
    const { state } = this.app;
    state[name] = state[name] === null ? state.a : null;
    this.app.changed();
  }

  show() {
    const { content, motion, oneContent, oneMotion, category } = this.app.state;
    if (document.activeElement !== this.seed || this.seed.getAttribute("aria-invalid") !== "true") {
      this.seed.value = content === motion ? content : `${content} / ${motion}`;
      this.seed.setAttribute("aria-invalid", "false");
    }
    byId("one-content").setAttribute("aria-pressed", String(oneContent !== null));
    byId("one-motion").setAttribute("aria-pressed", String(oneMotion !== null));
    this.category.value = category ?? "";
  }
}
