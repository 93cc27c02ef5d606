// The answers: the browser keeps them over a reload, and they are saved as CSV.

const COLUMNS = ["study", "rater", "pair", "chosen", "seconds"];

class Answers {
  constructor(study) {
    this.study = study;
    this.key = `kerasvid-study:${study.id}`;
    this.kept = true; // whether the browser keeps the answers
    this.read();
    addEventListener("storage", (event) => {
      if (event.key !== this.key) return; // answered in another tab
      this.read();
      this.onchange?.();
    });
  }

  read() {
    this.rater = "";
    this.given = []; // {pair, chosen, seconds}, in the order of the pairs
    this.saved = 0; // number of answers in the last saved file
    let text = null;
    try {
      text = localStorage.getItem(this.key);
      localStorage.setItem(`${this.key}:probe`, "1");
      localStorage.removeItem(`${this.key}:probe`);
    } catch {
      this.kept = false;
    }
    try {
      const { rater, given, saved } = JSON.parse(text ?? "{}");
      const { pairs, sides } = this.study;
      const fits = (answer, i) => answer.pair === pairs[i]?.pair && sides.includes(answer.chosen);
      if (Array.isArray(given) && given.every(fits)) Object.assign(this, { rater, given, saved });
    } catch {
      // damaged text: start without answers
    }
  }

  write() {
    const { rater, given, saved } = this;
    try {
      localStorage.setItem(this.key, JSON.stringify({ rater, given, saved }));
    } catch {
      this.kept = false;
    }
  }

  get complete() {
    return this.given.length === this.study.pairs.length;
  }

  nameRater(name) {
    this.rater = cleanName(name) || anonymousName();
    this.write();
  }

  add(side, seconds) {
    const { pair } = this.study.pairs[this.given.length];
    this.given.push({ pair, chosen: this.study.sides[side], seconds });
    this.write();
  }

  undo() {
    this.given.pop();
    this.saved = 0;
    this.write();
  }

  forget() {
    [this.rater, this.given, this.saved] = ["", [], 0];
    this.write();
  }

  csv() {
    const rows = this.given.map(({ pair, chosen, seconds }) => [
      this.study.id, this.rater, pair, chosen, seconds.toFixed(2),
    ]);
    return [COLUMNS, ...rows].map((row) => row.map(quoted).join(",") + "\r\n").join("");
  }

  save() {
    const name = this.rater.replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-|-$/g, "") || "rater";
    const link = document.createElement("a");
    const address = URL.createObjectURL(new Blob([this.csv()], { type: "text/csv" }));
    [link.href, link.download] = [address, `answers-${this.study.id}-${name}.csv`];
    link.click();
    setTimeout(() => URL.revokeObjectURL(address), 60000);
    this.saved = this.given.length;
    this.write();
    return link.download;
  }
}

// One line that a spreadsheet reads as text, not as a formula.
function cleanName(name) {
  return name.replace(/[\s\p{Cc}]+/gu, " ").replace(/^[ =+\-@]+/, "").trim().slice(0, 60);
}

function anonymousName() {
  const digits = crypto.getRandomValues(new Uint8Array(3));
  return `rater-${[...digits].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

function quoted(field) {
  return /[",\r\n]/.test(field) ? `"${field.replaceAll('"', '""')}"` : field;
}
