// Playing, the frame, the speed, and the interpolation between two clips.

import { byId } from "./document.js";

export class Transport {
  constructor(app) {
    this.app = app;
    this.phase = app.state.frame;
    this.drawn = []; // times of the last frames
    this.play = byId("play");
    this.frame = byId("frame");
    this.speed = byId("speed");
    this.between = byId("between");
    this.other = byId("other");
    this.frame.max = app.page.frames - 1;
    byId("interpolation").hidden = app.page.clips === 1;
    this.other.append(...app.grid.buttons.map((_, clip) => new Option(clip + 1, clip)));
    this.play.onclick = () => this.setPlaying(!app.state.playing);
    this.frame.oninput = () => this.goTo(Number(this.frame.value));
    this.speed.onchange = () => this.set("speed", Number(this.speed.value));
    this.between.oninput = () => this.set("between", Number(this.between.value));
    this.other.onchange = () => this.set("b", Number(this.other.value));
  }

  set(name, value) {
    this.app.state[name] = value;
    this.app.changed();
  }

  setPlaying(playing) {
    this.phase = this.app.state.frame;
    this.set("playing", playing);
  }

  // Stops at a frame.
  goTo(frame) {
    const { frames } = this.app.page;
    this.app.state.playing = false;
    this.phase = this.app.state.frame = ((frame % frames) + frames) % frames;
    this.app.changed();
    this.app.draw();
  }

  run() {
    let before = performance.now();
    const step = (now) => {
      const { page, state } = this.app;
      if (state.playing) {
        // Hidden tabs stand still; the first frame may have begun before the clock was read.
        const seconds = Math.min(0.25, Math.max(0, (now - before) / 1000));
        this.phase = (this.phase + seconds * page.fps * state.speed) % page.frames;
        this.turnTo(Math.floor(this.phase), now);
      }
      before = now;
      requestAnimationFrame(step);
    };
    requestAnimationFrame(step);
  }

  turnTo(frame, now) {
    if (frame === this.app.state.frame) return;
    this.app.state.frame = frame;
    this.drawn.push(now);
    this.app.draw();
    this.showFrame();
  }

  // Frames shown in the last two seconds, by second.
  shownPerSecond() {
    const now = performance.now();
    this.drawn = this.drawn.filter((time) => now - time < 2000);
    return Math.round(this.drawn.length / 2);
  }

  showFrame() {
    const { frame } = this.app.state;
    const { frames } = this.app.page;
    this.frame.value = frame;
    this.frame.style.setProperty("--at", `${frames > 1 ? (100 * frame) / (frames - 1) : 0}%`);
    byId("frame-value").textContent = `${frame + 1} / ${frames}`;
  }

  show() {
    const { a, b, between, playing, speed } = this.app.state;
    this.showFrame();
    this.play.classList.toggle("playing", playing);
    this.play.setAttribute("aria-label", playing ? "Pause" : "Play");
    this.speed.value = speed;
    this.between.value = between;
    this.between.style.setProperty("--at", `${100 * between}%`);
    this.between.disabled = a === b;
    byId("interpolation-value").textContent = between ? `${Math.round(100 * between)} %` : "";
    byId("interpolation-from").textContent = a + 1;
    this.other.value = b;
  }
}
