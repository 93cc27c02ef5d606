// A canvas that shows one frame of a clip at a time.

export class Screen {
  constructor(canvas, page) {
    this.page = page;
    this.canvas = canvas;
    [canvas.width, canvas.height] = [page.width, page.height];
    this.context = canvas.getContext("2d", { willReadFrequently: true });
    this.pixels = null; // RGBA of all frames
  }

  // RGBA of a frame, a view.
  frame(number) {
    const size = this.page.width * this.page.height * 4;
    return this.pixels.subarray(number * size, (number + 1) * size);
  }

  get frames() {
    return Array.from({ length: this.page.frames }, (_, number) => this.frame(number));
  }

  draw(number) {
    if (!this.pixels) return;
    this.context.putImageData(new ImageData(this.frame(number), this.page.width), 0, 0);
  }
}
