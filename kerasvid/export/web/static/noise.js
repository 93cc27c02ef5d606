// Seeded Gaussians that are the same in every browser.
//
// A 32-bit hash of (seed, row, name, position) gives uniform numbers. The Box-Muller transform
// makes a pair of standard Gaussians from two of them. There is no state: any clip can be drawn
// alone.

const TWO_TO_32 = 4294967296;

// The `triple32` hash: a bijection of 32-bit words, each input bit flips each output bit alike.
export function triple32(word) {
  let x = word >>> 0;
  x = Math.imul(x ^ (x >>> 17), 0xed5ad4bb);
  x = Math.imul(x ^ (x >>> 11), 0xac4c1b51);
  x = Math.imul(x ^ (x >>> 15), 0x31848bab);
  return (x ^ (x >>> 14)) >>> 0;
}

// FNV-1a of the bytes of a name, 32 bits.
export function hashOfName(name) {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(name)) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}

// `count` standard Gaussians: Float64Array. seed: whole, from 0 to 2^32 - 1; row: of the clip.
export function gaussians(seed, row, name, count) {
  const ofRow = triple32(triple32(seed) + row);
  const key = triple32(ofRow + hashOfName(name));
  const uniform = (position) => (triple32(key ^ triple32(position)) + 0.5) / TWO_TO_32;
  const drawn = new Float64Array(count);
  for (let i = 0; i < count; i += 2) {
    const radius = Math.sqrt(-2 * Math.log(uniform(i)));
    const angle = 2 * Math.PI * uniform(i + 1);
    drawn[i] = radius * Math.cos(angle);
    if (i + 1 < count) drawn[i + 1] = radius * Math.sin(angle);
  }
  return drawn;
}
