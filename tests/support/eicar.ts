/**
 * The EICAR test string, which every scanner reports and which does no harm. It is put together here, so that no
 * file of the checkout holds it and no scanner removes the checkout.
 */

const HALVES = ["X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR-STANDARD", "-ANTIVIRUS-TEST-FILE!$H+H*"];

export const EICAR: Uint8Array<ArrayBuffer> = new TextEncoder().encode(HALVES.join(""));

/** An infected file of exactly `size` bytes: the string first, blanks behind it. */
export function infected(size = EICAR.length): Uint8Array<ArrayBuffer> {
  if (size < EICAR.length) {
    throw new RangeError(`an infected file has ${EICAR.length} bytes or more`);
  }
  const bytes = new Uint8Array(size).fill(0x20);
  bytes.set(EICAR);
  return bytes;
}

/** `size` harmless bytes that look random and are the same for the same `seed`. */
export function clean(seed: number, size: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(size);
  let state = (seed * 2654435761 + 1) >>> 0;
  for (let i = 0; i < size; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes[i] = state & 0xff;
  }
  return bytes;
}
