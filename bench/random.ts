/** The same random bytes for the same seed, as hexadecimal digits. */
export function randomHex(seed: number): (bytes: number) => string {
  let state = (seed * 0x9e3779b9 + 1) >>> 0;
  const next = () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state & 0xff;
  };
  return (bytes) =>
    Array.from({ length: bytes }, () => next().toString(16).padStart(2, "0")).join("");
}
