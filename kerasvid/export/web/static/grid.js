// The clips: one is selected and in the viewer, another is the one to interpolate to.

import { byId } from "./document.js";
import { Screen } from "./screen.js";

export class Grid {
  constructor(app) {
    this.app = app;
    this.element = byId("grid");
    this.buttons = Array.from({ length: app.page.clips }, (_, clip) => this.button(clip));
    this.element.append(...this.buttons);
    this.screens = this.buttons.map((each) => new Screen(each.querySelector("canvas"), app.page));
    this.element.addEventListener("keydown", (event) => this.onKey(event));
  }

  button(clip) {
    const button = document.createElement("button");
    const label = document.createElement("span");
    [button.className, button.type, label.textContent] = ["clip", "button", clip + 1];
    button.append(document.createElement("canvas"), label);
    button.onclick = (event) => (event.shiftKey ? this.setOther(clip) : this.select(clip));
    return button;
  }

  select(clip) {
    const { state } = this.app;
    if (clip === state.b && state.between > 0) state.b = state.a; // the same interpolation, reversed
    else if (clip === state.b) state.b = clip === state.a ? state.b : state.a;
    [state.a, state.between] = [clip, 0];
    this.app.changed();
  }

  setOther(clip) {
    if (clip === this.app.state.a) return;
    this.app.state.b = clip;
    this.app.changed();
  }

  columns() {
    const top = this.buttons[0].offsetTop;
    const below = this.buttons.findIndex((button) => button.offsetTop > top);
    return below < 0 ? this.buttons.length : below;
  }

  onKey(event) {
    const focused = this.buttons.indexOf(document.activeElement);
    if (focused < 0) return;
    const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -this.columns(), ArrowDown: this.columns() };
    if (event.key in steps) {
      const clip = focused + steps[event.key];
      event.preventDefault();
      if (!this.buttons[clip]) return;
      this.select(clip);
      this.buttons[clip].focus();
    }
  }

  show() {
    const { a, b } = this.app.state;
    this.buttons.forEach((button, clip) => {
      const other = clip === b && a !== b;
      button.setAttribute("aria-pressed", String(clip === a));
      button.setAttribute("aria-label", `Clip ${clip + 1}${other ? ", interpolated to" : ""}`);
      button.classList.toggle("other", other);
    });
  }
}
