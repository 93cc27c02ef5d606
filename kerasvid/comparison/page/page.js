// The page: instructions, then the pairs, then the file of answers.

const byId = (id) => document.getElementById(id);
const HOLD = 140; // milliseconds that a choice is shown
const LOCK = 160; // milliseconds without answers after a new pair: a bouncing key answers once

class Page {
  constructor(study) {
    this.study = study;
    this.answers = new Answers(study);
    this.choices = [byId("first"), byId("second")];
    this.clips = new Clips(study, this.choices.map((choice) => choice.querySelector("canvas")));
    this.since = null; // time when the pair was shown; `null` before it can be answered
    this.answers.onchange = () => this.proceed();
    this.introduce();
    this.listen();
    this.answers.given.length ? this.proceed() : this.turnTo("intro");
  }

  introduce() {
    const { study } = this;
    document.title = study.title;
    document.body.classList.toggle("stacked", study.stacked);
    byId("title").textContent = study.title;
    byId("description").textContent = study.description;
    byId("description").hidden = !study.description;
    for (const place of document.querySelectorAll(".question")) place.textContent = study.question;
    this.choices.forEach((choice, side) => nameChoice(choice, study, side));
    byId("instructions").append(...instructions(study));
    byId("play").hidden = this.clips.static;
    byId("progress").setAttribute("aria-valuemax", study.pairs.length);
    byId("rater").value = this.answers.rater || anonymousName();
  }

  listen() {
    byId("begin").onsubmit = (event) => {
      event.preventDefault();
      this.answers.nameRater(byId("rater").value);
      this.proceed();
    };
    this.choices.forEach((choice, side) => {
      choice.onclick = (event) => {
        if (event.detail) choice.blur(); // after a click, the space bar still plays
        this.choose(side);
      };
    });
    byId("undo").onclick = () => this.undo();
    byId("back").onclick = () => (this.answers.complete ? this.undo() : this.proceed());
    byId("stop").onclick = () => this.end();
    byId("play").onclick = () => this.togglePlaying();
    byId("save").onclick = () => {
      byId("saved").textContent = `Saved as ${this.answers.save()}.`;
    };
    byId("anew").onclick = () => {
      const lost = this.answers.saved < this.answers.given.length;
      if (lost && !confirm("Your answers are not saved as a file. Delete them?")) return;
      this.answers.forget();
      byId("rater").value = anonymousName();
      this.proceed();
    };
    addEventListener("keydown", (event) => this.press(event));
    // A resting pointer does not highlight a clip.
    addEventListener("pointermove", () => document.body.classList.add("pointing"));
    addEventListener("beforeunload", (event) => {
      const { kept, given, saved } = this.answers;
      if (!kept && given.length > saved) event.preventDefault();
    });
  }

  press(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input")) return;
    if (event.key === " " && event.target.matches("button")) return; // it presses the button
    const side = sideOfKey(this.study, event.key);
    const acts = { Backspace: () => this.undo(), " ": () => this.togglePlaying() };
    const act = side < 0 ? acts[event.key] : () => this.choose(side);
    if (!act || byId("comparison").hidden) return;
    event.preventDefault();
    if (!event.repeat) act();
  }

  choose(side) {
    if (!byId("pair").hasAttribute("data-open")) return;
    this.answers.add(side, (performance.now() - this.since) / 1000);
    this.since = null;
    byId("pair").removeAttribute("data-open");
    this.choices[side].classList.add("chosen");
    setTimeout(() => this.proceed(), HOLD);
  }

  undo() {
    if ((this.since === null && !this.answers.complete) || !this.answers.given.length) return;
    this.answers.undo();
    this.proceed();
  }

  togglePlaying() {
    if (this.clips.static) return;
    this.clips.setPlaying(!this.clips.playing);
    this.showPlaying();
  }

  showPlaying() {
    byId("play").firstElementChild.textContent = this.clips.playing ? "Pause" : "Play";
    byId("play").classList.toggle("wanted", !this.clips.playing);
  }

  // Shows the instructions, the first pair without an answer, or the end.
  async proceed() {
    const { answers, study } = this;
    const number = answers.given.length;
    const progress = byId("progress");
    progress.setAttribute("aria-valuenow", number);
    progress.firstElementChild.style.width = `${(100 * number) / study.pairs.length}%`;
    if (!answers.kept) {
      showError("This browser does not keep your answers. Save them before you close or reload the page.");
    }
    for (const choice of this.choices) choice.classList.remove("chosen");
    document.body.classList.remove("pointing");
    if (!answers.rater) return this.turnTo("intro");
    if (answers.complete) return this.end();
    this.turnTo("comparison");
    this.since = null;
    byId("pair").removeAttribute("data-open");
    byId("count").textContent = `${number + 1} / ${study.pairs.length}`;
    byId("count").setAttribute("aria-label", `Pair ${number + 1} of ${study.pairs.length}`);
    byId("undo").disabled = number === 0;
    this.showPlaying();
    byId("pair").classList.add("changing");
    this.clips.draw();
    try {
      if (!(await this.clips.show(number))) return;
    } catch {
      return showError(`The clips of pair ${number + 1} cannot be shown. Ask for a new copy of this page.`);
    }
    byId("pair").classList.remove("changing");
    byId("pair").dataset.shown = number + 1;
    requestAnimationFrame(() => {
      const since = (this.since = performance.now());
      setTimeout(() => {
        if (since === this.since) byId("pair").setAttribute("data-open", "");
      }, LOCK);
    });
  }

  end() {
    const { answers, study } = this;
    const [given, all] = [answers.given.length, study.pairs.length];
    this.since = null;
    byId("over").textContent = answers.complete ? "Thank you" : "A break";
    byId("summary").textContent = answers.complete
      ? `You answered ${all === 1 ? "the pair" : `all ${all} pairs`} as ${answers.rater}.`
      : `You answered ${given} of ${counted(all, "pair")} as ${answers.rater}. This browser keeps your answers. Continue when you like.`;
    byId("back").textContent = answers.complete ? "Undo last answer" : "Continue";
    byId("back").classList.toggle("main-action", !answers.complete);
    byId("save").classList.toggle("main-action", answers.complete);
    byId("saved").textContent = answers.saved ? "Already saved. You can save again." : "";
    this.turnTo("done");
  }

  turnTo(view) {
    for (const main of document.querySelectorAll("main")) {
      const turned = main.id === view && main.hidden;
      main.hidden = main.id !== view;
      const place = view !== "done" ? main : byId(this.answers.complete ? "save" : "back");
      if (turned) place.focus({ preventScroll: true });
    }
    document.body.dataset.view = view;
  }
}

function showError(text) {
  byId("fault").hidden = false;
  byId("fault").textContent = text;
}

try {
  new Page(JSON.parse(byId("study").textContent));
} catch (error) {
  showError(`The page cannot start: ${error?.message ?? error}`);
}
