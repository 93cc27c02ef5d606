// Sliders: the position of the selected clip along each leading direction.

import { byId } from "./document.js";
import { coordinate, noiseOfClip, rowOf } from "./latents.js";

const EXTENT = 3; // standard deviations to either side

export class Sliders {
  constructor(app) {
    this.app = app;
    byId("directions").hidden = app.page.directions.length === 0;
    this.rows = app.page.directions.map((direction, number) => this.row(direction, number));
    byId("sliders").append(...this.rows.map((row) => row.element));
    this.reset = byId("reset");
    this.reset.onclick = () => this.clear();
  }

  row(direction, number) {
    const make = (tag, values) => Object.assign(document.createElement(tag), values);
    const element = make("div", { className: "slider" });
    const id = `direction-${number}`;
    const percent = `${(100 * direction.share).toFixed(direction.share < 0.1 ? 1 : 0)} %`;
    const input = make("input", {
      id, type: "range", min: -EXTENT, max: EXTENT, step: 0.05, title: "Double click to reset",
    });
    input.setAttribute("aria-label", `Direction ${number + 1}, ${percent} of the total change`);
    input.style.setProperty("--zero", "50%");
    input.oninput = () => this.move(number, Number(input.value));
    input.ondblclick = () => this.move(number, null);
    const output = make("output", {});
    element.append(
      make("label", { htmlFor: id, textContent: number + 1 }),
      input,
      output,
      make("span", { className: "share", textContent: percent }),
    );
    return { element, input, output };
  }

  get rowOfContent() {
    return rowOf(this.app.state, this.app.state.a, "content");
  }

  // Moves the clip to `value`, or back to its own position.
  move(number, value) {
    const { moves } = this.app.state;
    const own = (moves[this.rowOfContent] ??= {});
    if (value === null) delete own[number];
    else own[number] = value;
    if (!Object.keys(own).length) delete moves[this.rowOfContent];
    this.app.changed();
  }

  clear() {
    delete this.app.state.moves[this.rowOfContent];
    this.app.changed();
  }

  show() {
    const { page, state } = this.app;
    if (!this.rows.length) return;
    const noise = noiseOfClip(page, state, state.a);
    const own = state.moves[this.rowOfContent] ?? {};
    byId("directions-of").textContent = `of clip ${state.a + 1}`;
    this.reset.disabled = Object.keys(own).length === 0;
    this.rows.forEach(({ element, input, output }, number) => {
      const at = coordinate(noise, page.directions[number]);
      input.value = at;
      input.style.setProperty("--at", `${50 + (50 * Number(input.value)) / EXTENT}%`);
      output.textContent = `${at < 0 ? "−" : "+"}${Math.abs(at).toFixed(2)}`;
      element.classList.toggle("moved", number in own);
    });
  }
}
