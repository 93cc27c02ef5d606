// The instructions, and the sides with their keys.

const ACROSS = { arrows: ["←", "→"], keys: ["ArrowLeft", "ArrowRight"] };
const UPRIGHT = { arrows: ["↑", "↓"], keys: ["ArrowUp", "ArrowDown"] };
const LETTERS = ["F", "J"];

const arrowsOf = (study) => (study.stacked ? UPRIGHT : ACROSS);

// The side, 0 or 1, that a key chooses, or -1.
function sideOfKey(study, key) {
  const { keys } = arrowsOf(study);
  return keys.findIndex((arrow, side) => key === arrow || key.toUpperCase() === LETTERS[side]);
}

function nameChoice(choice, study, side) {
  const name = study.sides[side][0].toUpperCase() + study.sides[side].slice(1);
  const { arrows, keys } = arrowsOf(study);
  choice.setAttribute("aria-label", `${name} clip`);
  choice.setAttribute("aria-keyshortcuts", `${keys[side]} ${LETTERS[side]}`);
  choice.querySelector("canvas").setAttribute("aria-label", `${name} clip`);
  choice.querySelector(".side").append(name, keycap(arrows[side]), keycap(LETTERS[side]));
}

function instructions(study) {
  const [one, other] = arrowsOf(study).arrows.map(keycap);
  const [f, j] = LETTERS.map(keycap);
  let shown = "two clips side by side, which repeat";
  if (study.frames === 1) shown = "two images";
  else if (study.stacked) shown = "all frames of two clips, from the first to the last";
  const pairs = study.pairs.length;
  return [
    item(
      "",
      `Each pair shows ${shown}. Choose the one that answers the question; `,
      "if you are not sure, follow your first impression.",
    ),
    item(
      "for-keys",
      ...["Choose with the keys ", one, " ", other, ", the keys ", f, " ", j, ", or a click. "],
      ...[keycap("⌫"), " undoes the last choice."],
    ),
    item("for-touch", "Touch your choice. Undo takes back the last one."),
    item(
      "",
      `There ${pairs === 1 ? "is" : "are"} ${counted(pairs, "pair")}. You can stop at any time: `,
      "this browser keeps your answers, and the page continues where you stopped.",
    ),
  ];
}

function item(kind, ...parts) {
  const line = document.createElement("li");
  line.className = kind;
  line.append(...parts);
  return line;
}

function keycap(text) {
  const cap = document.createElement("kbd");
  cap.textContent = text;
  return cap;
}

function counted(number, what) {
  return `${number} ${what}${number === 1 ? "" : "s"}`;
}
