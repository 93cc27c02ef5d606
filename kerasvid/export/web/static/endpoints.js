// The first and the last frame of a clip: examples, or the user's own files.

import { byId, showError } from "./document.js";
import { asFrame } from "./images.js";

const NAMES = ["first", "last"];

export class Endpoints {
  constructor(app) {
    this.app = app;
    this.images = [null, null]; // Float32Array in [-1, 1]
    this.version = 0; // counts changes
    byId("endpoints").hidden = false;
    byId("examples-note").hidden = app.page.examples.length === 0;
    byId("temperature-row").hidden = app.page.noise.length === 0;
    this.drops = NAMES.map((name, which) => this.drop(name, which));
    this.showExamples();
    this.temperature = byId("temperature");
    this.temperature.oninput = () => {
      app.state.temperature = Number(this.temperature.value);
      app.changed();
    };
  }

  get ready() {
    return this.images.every(Boolean);
  }

  drop(name, which) {
    const label = byId(`drop-${name}`);
    const input = label.querySelector("input");
    const take = (file) => file && this.takeOwn(which, file).catch(showError);
    input.onchange = () => take(input.files[0]);
    label.ondragover = (event) => {
      event.preventDefault();
      label.classList.add("over");
    };
    label.ondragleave = () => label.classList.remove("over");
    label.ondrop = (event) => {
      event.preventDefault();
      label.classList.remove("over");
      take(event.dataTransfer.files[0]);
    };
    return label.querySelector("canvas");
  }

  showExamples() {
    this.buttons = this.app.page.examples.map((example, number) => {
      const button = document.createElement("button");
      [button.type, button.className] = ["button", "example"];
      button.setAttribute("aria-label", `Example ${number + 1}`);
      for (const name of NAMES) {
        button.append(Object.assign(document.createElement("img"), { src: example[name], alt: "" }));
      }
      button.onclick = () => {
        this.app.state.endpoints = [number, number];
        this.load().then(() => this.app.changed(), showError);
      };
      return button;
    });
    byId("examples").append(...this.buttons);
  }

  // Reads the examples that the state names; grey images if there is nothing else.
  async load() {
    for (const [which, name] of NAMES.entries()) {
      const number = this.app.state.endpoints[which];
      if (number !== null) {
        const address = this.app.page.examples[number][name];
        const response = await fetch(address);
        if (!response.ok) throw new Error(`${address} is missing (${response.status}). Make the folder again.`);
        await this.put(which, await response.blob());
      } else if (!this.images[which]) {
        const { width, height } = this.app.page;
        const grey = new ImageData(new Uint8ClampedArray(width * height * 4).fill(128), width);
        await this.put(which, grey);
      }
    }
  }

  async takeOwn(which, file) {
    await this.put(which, file);
    this.app.state.endpoints[which] = null;
    this.app.changed();
  }

  async put(which, source) {
    const [canvas, values] = await asFrame(source, this.app.page);
    const shown = this.drops[which];
    [shown.width, shown.height] = [canvas.width, canvas.height];
    shown.getContext("2d").drawImage(canvas, 0, 0);
    this.images[which] = values;
    this.version++;
  }

  show() {
    const { endpoints, temperature } = this.app.state;
    this.buttons.forEach((button, number) => {
      button.setAttribute("aria-pressed", String(endpoints.every((end) => end === number)));
    });
    this.temperature.value = temperature;
    this.temperature.style.setProperty("--at", `${50 * temperature}%`);
    byId("temperature-value").textContent = temperature.toFixed(2);
  }
}
