/**
 * A database as large as a real one: mostly hashes of whole files (`.hdb`), and patterns that are looked for
 * everywhere in a file (`.ndb`), random, so that nothing matches.
 */

import { randomHex } from "./random.ts";

const HASHES = 1_350_000;
const PATTERNS = 150_000;
const PATTERN_BYTES = 20;
const LINES_A_WRITE = 10_000;

export const SIGNATURES = HASHES + PATTERNS;

/** Adds them, or one part in `parts` of them, to clamd's database directory. */
export async function addSignatures(folder: string, parts = 1): Promise<void> {
  const hex = randomHex(1);
  await writeLines(
    `${folder}/many.hdb`,
    HASHES / parts,
    (i) => `${hex(16)}:${4000 + i % 200}:Hash.${i}`,
  );
  await writeLines(
    `${folder}/many.ndb`,
    PATTERNS / parts,
    (i) => `Pattern.${i}:0:*:${hex(PATTERN_BYTES)}`,
  );
}

async function writeLines(
  path: string,
  count: number,
  line: (number: number) => string,
): Promise<void> {
  using file = await Deno.open(path, { write: true, createNew: true });
  const encoder = new TextEncoder();
  const writer = file.writable.getWriter();
  for (let done = 0; done < count; done += LINES_A_WRITE) {
    const many = Math.min(LINES_A_WRITE, count - done);
    const lines = Array.from({ length: many }, (_, i) => line(done + i));
    await writer.write(encoder.encode(lines.join("\n") + "\n"));
  }
}
