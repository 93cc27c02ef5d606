// Workers that make clips, and the queue before them.

export class Generator {
  // onTiming: called with the milliseconds that a clip took.
  constructor(page, onTiming) {
    this.page = page;
    this.onTiming = onTiming;
    this.waiting = new Map(); // by name, the newest request of each; the first is made next
    this.idle = [];
    this.pending = new Map(); // by id
    this.count = 0;
  }

  // Starts one worker, and further ones where there are processors to spare.
  async start() {
    await this.addWorker();
    const more = Math.min(2, Math.floor((navigator.hardwareConcurrency ?? 2) / 4), this.page.clips - 1);
    for (let i = 0; i < more; i++) this.addWorker().catch(() => {}); // one is enough
  }

  addWorker() {
    return new Promise((resolve, reject) => {
      const worker = new Worker("generator_worker.js");
      worker.onerror = (event) => reject(new Error(event.message || "the worker cannot start"));
      worker.onmessage = ({ data }) => {
        if (data.ready) {
          resolve();
        } else if (data.id === undefined) {
          reject(new Error(data.error));
          return;
        } else {
          this.settle(data);
        }
        this.idle.push(worker);
        this.next();
      };
      worker.postMessage({ page: this.page });
    });
  }

  settle({ id, error, pixels, milliseconds }) {
    const { resolve, reject } = this.pending.get(id);
    this.pending.delete(id);
    if (error) return reject(new Error(error));
    this.onTiming(milliseconds);
    resolve(pixels);
  }

  // The clip of `inputs`: RGBA of all frames; null if a newer request of the same name replaced it.
  make(name, inputs, urgent = false) {
    return new Promise((resolve, reject) => {
      this.waiting.get(name)?.resolve(null);
      this.waiting.delete(name);
      const request = { inputs, resolve, reject };
      this.waiting = urgent
        ? new Map([[name, request], ...this.waiting])
        : new Map([...this.waiting, [name, request]]);
      this.next();
    });
  }

  next() {
    while (this.idle.length && this.waiting.size) {
      const [name, { inputs, resolve, reject }] = this.waiting.entries().next().value;
      this.waiting.delete(name);
      const id = this.count++;
      this.pending.set(id, { resolve, reject });
      this.idle.pop().postMessage({ id, inputs });
    }
  }
}
