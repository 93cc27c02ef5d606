// The two clips of a pair: decoded in advance, scaled by whole pixels, played in step.

const AHEAD = 3; // pairs decoded in advance
const GAP = 1; // pixels of a clip between stacked frames

class Clips {
  constructor(study, canvases) {
    this.study = study;
    this.canvases = canvases;
    this.pens = canvases.map((canvas) => canvas.getContext("2d"));
    this.decoded = new Map(); // pair number -> promise of two images
    this.images = null;
    this.static = study.stacked || study.frames === 1;
    this.playing = !matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.frame = 0;
    this.rows = 1;
    addEventListener("resize", () => this.fit());
    requestAnimationFrame((now) => this.step(now));
  }

  load(number) {
    if (!this.decoded.has(number)) {
      const { pairs, type } = this.study;
      const images = pairs[number].clips.map(async (text) => {
        const image = new Image();
        image.src = `data:${type};base64,${text}`;
        await image.decode();
        return image;
      });
      this.decoded.set(number, Promise.all(images));
    }
    return this.decoded.get(number);
  }

  // Resolves when both first frames are shown; to false if another pair replaced them.
  async show(number) {
    this.number = number;
    this.images = null;
    const images = await this.load(number);
    if (this.number !== number) return false;
    this.images = images;
    this.frame = 0;
    this.phase = 0;
    this.before = null; // both start at the next frame of the screen
    this.fit();
    for (const known of this.decoded.keys()) {
      if (known < number - 1 || known > number + AHEAD) this.decoded.delete(known);
    }
    for (let next = number + 1; next <= number + AHEAD; next++) {
      if (next < this.study.pairs.length) this.load(next).catch(() => {});
    }
    return true;
  }

  setPlaying(playing) {
    this.playing = playing;
    this.before = null;
  }

  step(now) {
    requestAnimationFrame((next) => this.step(next));
    if (!this.images || this.static || !this.playing) return;
    const { fps, frames } = this.study;
    if (this.before !== null) this.phase += Math.max(0, (now - this.before) / 1000) * fps;
    this.before = now;
    const frame = Math.floor(this.phase) % frames;
    if (frame === this.frame) return;
    this.frame = frame;
    this.draw();
  }

  // The size of the canvases: pixels of a clip are squares of whole pixels of the screen.
  fit() {
    const { study } = this;
    const room = this.canvases[0].parentElement.parentElement;
    const ratio = devicePixelRatio || 1;
    const style = getComputedStyle(room);
    const [wide, high] = study.stacked ? [1, 2] : [2, 1];
    const label = room.querySelector(".side").offsetHeight;
    const inside = (size, gap, count) => ((size - (count - 1) * parseFloat(gap)) / count) * ratio;
    const width = inside(room.clientWidth, style.columnGap, wide);
    const height = inside(room.clientHeight, style.rowGap, high) - label * ratio;
    const shapes = study.stacked ? Array.from({ length: study.frames }, (_, i) => i + 1) : [1];
    let best = { scale: 0 };
    for (const rows of shapes) {
      const columns = Math.ceil(study.frames / rows);
      const across = study.stacked ? columns * (study.width + GAP) - GAP : study.width;
      const down = rows * (study.height + GAP) - GAP;
      const fitting = Math.min(width / across, height / down);
      const scale = fitting >= 1 ? Math.floor(fitting) : Math.max(fitting, 0.05);
      if (scale > best.scale) best = { scale, columns, across, down };
    }
    this.columns = best.columns;
    for (const canvas of this.canvases) {
      if (canvas.width !== best.across || canvas.height !== best.down) {
        [canvas.width, canvas.height] = [best.across, best.down];
      }
      canvas.style.width = `${(best.across * best.scale) / ratio}px`;
      canvas.style.height = `${(best.down * best.scale) / ratio}px`;
      canvas.classList.toggle("reduced", best.scale < 1);
    }
    this.draw();
  }

  draw() {
    const { frames, stacked, width, height } = this.study;
    this.pens.forEach((pen, side) => {
      pen.clearRect(0, 0, pen.canvas.width, pen.canvas.height);
      if (!this.images) return;
      for (let frame = stacked ? 0 : this.frame; frame < (stacked ? frames : this.frame + 1); frame++) {
        const [row, column] = stacked ? [Math.floor(frame / this.columns), frame % this.columns] : [0, 0];
        const [top, left] = [
          Math.floor(frame / this.study.columns) * height,
          (frame % this.study.columns) * width,
        ];
        pen.drawImage(
          this.images[side], left, top, width, height,
          column * (width + GAP), row * (height + GAP), width, height,
        );
      }
    });
  }
}
