// The two pictures that a clip goes between: examples, or files of one's own.

import { tellFault } from "./main.js";
import { asFrame } from "./pictures.js";

const NAMES = ["first", "last"];

export class Ends {
  constructor(app) {
    this.app = app;
    this.pictures = [null, null]; // Float32Array in [-1, 1]
    this.version = 0; // counts changes
    document.getElementById("ends").hidden = false;
    document.getElementById("examples-note").hidden = app.page.examples.length === 0;
    document.getElementById("temperature-row").hidden = app.page.noise.length === 0;
    this.drops = NAMES.map((name, which) => this.drop(name, which));
    this.offerExamples();
    this.temperature = document.getElementById("temperature");
    this.temperature.oninput = () => {
      app.state.temperature = Number(this.temperature.value);
      app.changed();
    };
  }

  get ready() {
    return this.pictures.every(Boolean);
  }

  drop(name, which) {
    const label = document.getElementById(`drop-${name}`);
    const input = label.querySelector("input");
    const take = (file) => file && this.takeOwn(which, file).catch(tellFault);
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

  offerExamples() {
    this.buttons = this.app.page.examples.map((example, number) => {
      const button = document.createElement("button");
      [button.type, button.className] = ["button", "example"];
      button.setAttribute("aria-label", `Example ${number + 1}`);
      for (const name of NAMES) {
        button.append(Object.assign(document.createElement("img"), { src: example[name], alt: "" }));
      }
      button.onclick = () => {
        this.app.state.ends = [number, number];
        this.load().then(() => this.app.changed(), tellFault);
      };
      return button;
    });
    document.getElementById("examples").append(...this.buttons);
  }

  // Reads the examples that the state names; a flat grey where there is nothing else.
  async load() {
    for (const [which, name] of NAMES.entries()) {
      const number = this.app.state.ends[which];
      if (number !== null) {
        const address = this.app.page.examples[number][name];
        const response = await fetch(address);
        if (!response.ok) throw new Error(`${address} is missing (${response.status}).`);
        await this.put(which, await response.blob());
      } else if (!this.pictures[which]) {
        const { width, height } = this.app.page;
        const grey = new ImageData(new Uint8ClampedArray(width * height * 4).fill(128), width);
        await this.put(which, grey);
      }
    }
  }

  async takeOwn(which, file) {
    await this.put(which, file);
    this.app.state.ends[which] = null;
    this.app.changed();
  }

  async put(which, source) {
    const [canvas, values] = await asFrame(source, this.app.page);
    const shown = this.drops[which];
    [shown.width, shown.height] = [canvas.width, canvas.height];
    shown.getContext("2d").drawImage(canvas, 0, 0);
    this.pictures[which] = values;
    this.version++;
  }

  show() {
    const { ends, temperature } = this.app.state;
    this.buttons.forEach((button, number) => {
      button.setAttribute("aria-pressed", String(ends.every((end) => end === number)));
    });
    this.temperature.value = temperature;
    this.temperature.style.setProperty("--at", `${50 * temperature}%`);
    document.getElementById("temperature-told").textContent = temperature.toFixed(2);
  }
}
