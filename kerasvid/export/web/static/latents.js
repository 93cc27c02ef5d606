// The inputs of the generator: noise of the clips' seeds, changed by sliders, interpolated.
//
// Roles of noise: "content" has one value a clip, "motion" one a frame; the largest value of
// "category" chooses a category.

import { gaussians } from "./noise.js";

export const sizeOf = (shape) => shape.reduce((product, extent) => product * extent, 1);

export const dot = (a, b) => a.reduce((sum, value, i) => sum + value * b[i], 0);

// The row whose content (or motion) a clip shows: its own, or the one that all clips share.
export function rowOf(state, clip, role) {
  return (role === "content" ? state.oneContent : state.oneMotion) ?? clip;
}

// Float64Array by name: the noise of a clip of the grid.
export function noiseOfClip(page, state, clip) {
  const noise = {};
  for (const { name, shape, role } of page.noise) {
    const seed = role === "content" ? state.content : state.motion;
    noise[name] = gaussians(seed, rowOf(state, clip, role), name, sizeOf(shape));
    if (role === "category" && state.category !== null) {
      noise[name].fill(0);
      noise[name][state.category] = 1;
    }
  }
  const moves = state.moves[rowOf(state, clip, "content")] ?? {};
  for (const [number, value] of Object.entries(moves)) moveTo(noise, page.directions[number], value);
  return noise;
}

// The position of a noise along a direction, in standard deviations.
export const coordinate = (noise, direction) => dot(direction.vector, noise[direction.noise]);

// Moves a noise along a unit vector to the position `value`, and in no other direction.
function moveTo(noise, direction, value) {
  const step = value - coordinate(noise, direction);
  const moved = noise[direction.noise];
  direction.vector.forEach((part, i) => (moved[i] += step * part));
}

// Spherical interpolation between two noises, as in the library's `interpolate`.
export function spherical(from, to, fraction) {
  const lengths = [from, to].map((each) => Math.sqrt(dot(each, each)) || 1);
  const chord = (sign) =>
    Math.sqrt(from.reduce((s, v, i) => s + (v / lengths[0] + (sign * to[i]) / lengths[1]) ** 2, 0));
  const angle = 2 * Math.atan2(chord(-1), chord(1));
  const sine = Math.sin(angle);
  const [a, b] =
    sine > 1e-4
      ? [Math.sin((1 - fraction) * angle) / sine, Math.sin(fraction * angle) / sine]
      : [1 - fraction, fraction];
  return from.map((value, i) => a * value + b * to[i]);
}

// The noise of the clip in the viewer: clip A, interpolated to clip B.
export function noiseOfViewer(page, state) {
  const from = noiseOfClip(page, state, state.a);
  if (state.between === 0 || state.a === state.b) return from;
  const to = noiseOfClip(page, state, state.b);
  return Object.fromEntries(
    Object.keys(from).map((name) => [name, spherical(from[name], to[name], state.between)]),
  );
}

// Inputs of the model, float32 by name; the temperature scales the noise of models with endpoints.
export function inputsOf(page, state, noise, endpoints) {
  const scale = page.endpoints ? state.temperature : 1;
  const inputs = {};
  for (const [name, values] of Object.entries(noise)) {
    inputs[name] = Float32Array.from(values, (value) => scale * value);
  }
  return endpoints ? { ...inputs, first: endpoints[0], last: endpoints[1] } : inputs;
}
