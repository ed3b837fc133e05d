/** A short soak: random guests and random misfortune, with seeds that once failed, and a new one each time. */

import { testOnEachFilesystem } from "../support/fixture.ts";
import { soak } from "../soak/soak.ts";
import { NIGHTLY } from "../support/size.ts";

/** Seeds that failed once stay here, with what they found. */
const KEPT_SEEDS: readonly number[] = [];

const NEW_SEED = Date.now() % 1_000_000;

for (const seed of [...KEPT_SEEDS, NEW_SEED]) {
  const name = seed === NEW_SEED ? "a new seed" : `seed ${seed}`;
  testOnEachFilesystem(
    `I1, I3: all ends equal after random guests and misfortune: ${name}`,
    async (filesystem) => {
      const [rounds, bursts] = NIGHTLY ? [10, 400] : [1, 130];
      await soak({ seed, filesystem, rounds, bursts, say: () => {} });
    },
  );
}
