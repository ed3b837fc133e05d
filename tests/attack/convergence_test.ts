/** A short soak: random guests and random misfortune, with seeds that once failed; a new one each night. */

import { testOnEachFilesystem } from "../support/fixture.ts";
import { soak } from "../soak/soak.ts";
import { NIGHTLY } from "../support/size.ts";

/**
 * Seeds that failed once: two by files that stayed in the export when nobody had them any more, two by a diode's file
 * that never travelled: after the disk had been full, and since it had been seen before it was written to.
 */
const KEPT_SEEDS: readonly number[] = [102, 201, 417, 510];

const [ROUNDS, BURSTS] = NIGHTLY ? [10, 400] : [1, 130];

for (const seed of NIGHTLY ? [...KEPT_SEEDS, Date.now() % 1_000_000] : KEPT_SEEDS) {
  testOnEachFilesystem(
    `I1, I3: all ends equal after random guests and misfortune: seed ${seed}`,
    async (filesystem) => {
      await soak({ seed, filesystem, rounds: ROUNDS, bursts: BURSTS, say: () => {} });
    },
  );
}
