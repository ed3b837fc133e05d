/** The scanner when a real clamd dies, hangs, comes back, or ends connections: errors, and never a wrong verdict. */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals, assertMatch } from "@std/assert";
import { clean, EICAR, infected } from "../support/eicar.ts";
import {
  CLEAN,
  INFECTED,
  reasonOf,
  ScannerBench,
  testWithClamd,
  WAYS,
} from "../support/scanner_bench.ts";
import { sleep, waitFor } from "../support/wait.ts";

testWithClamd(
  "no clamd: it says where it looked and what to do, and finds it when it comes",
  {},
  async (clamd) => {
    await using bench = new ScannerBench(clamd.socket);
    const answer = await bench.scanner.check();
    assert(!answer.available);
    assertMatch(answer.reason, /there is no socket .*clamd\.ctl: is clamd running/);
    assertEquals(await bench.scan(EICAR), { kind: "error", reason: answer.reason });
    assertEquals(bench.told, [answer.reason]);
    await clamd.start();
    await waitFor("it is found", () => bench.recoveries === 1);
    assertEquals(await bench.scan(EICAR), INFECTED);
  },
);

for (const way of WAYS) {
  testWithClamd(
    `clamd restarted between two scans: nobody notices, by ${way}`,
    {},
    async (clamd) => {
      await clamd.start();
      await using bench = new ScannerBench(clamd.socket, { way });
      await Promise.all([1, 2, 3, 4].map((i) => bench.scan(clean(i, 5000))));
      await clamd.kill();
      await clamd.start();
      const verdicts = await Promise.all([5, 6, 7, 8].map((i) => bench.scan(infected(5000 + i))));
      assertEquals(verdicts, [INFECTED, INFECTED, INFECTED, INFECTED]);
      assertEquals([bench.told, bench.recoveries], [[], 0]);
    },
  );

  testWithClamd(`clamd killed in the middle: errors, no wrong verdict, then recovery, by ${way}`, {
    MaxThreads: 4,
  }, async (clamd) => {
    await clamd.start();
    await using bench = new ScannerBench(clamd.socket, { way });
    const scans = Array.from(
      { length: 200 },
      (_, i) => bench.scan(i % 2 === 0 ? clean(i, 250_000) : infected(250_000)),
    );
    await waitFor("some are scanned", () => clamd.scans > 5);
    await clamd.kill();
    const verdicts = await Promise.all(scans);
    for (const [i, verdict] of verdicts.entries()) {
      if (verdict.kind !== "error") assertEquals(verdict, i % 2 === 0 ? CLEAN : INFECTED);
    }
    assert(verdicts.some(({ kind }) => kind === "error"));
    await waitFor("it is known why", async () => {
      return /nobody listens at .*clamd\.ctl/.test(reasonOf(await bench.scan(clean(1, 10))));
    });
    assertEquals(bench.told.length, 1);
    await clamd.start();
    await waitFor("it is found again", () => bench.recoveries === 1);
    assertEquals(await bench.scan(infected(1000)), INFECTED);
  });

  testWithClamd(
    `clamd hangs: scans end as errors, new ones fail at once, then recovery, by ${way}`,
    {
      MaxThreads: 2,
    },
    async (clamd) => {
      await clamd.start();
      await using bench = new ScannerBench(clamd.socket, { way });
      assertEquals(await bench.scan(clean(1, 5000)), CLEAN);
      clamd.freeze();
      // Some on an old and on new connections, others waiting for a place.
      const scans = Array.from({ length: 20 }, (_, i) => bench.scan(clean(i, 100)));
      for (const verdict of await Promise.all(scans)) {
        assertMatch(reasonOf(verdict), /clamd at .* does not answer/);
      }
      const begin = performance.now();
      for (let i = 0; i < 1000; i++) assertEquals((await bench.scan(EICAR)).kind, "error");
      assert(performance.now() - begin < 2000, "new ones fail at once");
      assertEquals(bench.told.length, 1);
      clamd.thaw();
      await waitFor("it is found again", () => bench.recoveries === 1);
      assertEquals(await bench.scan(EICAR), INFECTED);
    },
  );
}

testWithClamd(
  "idle connections that clamd ends are no trouble",
  { ReadTimeout: 1 },
  async (clamd) => {
    await clamd.start();
    await using bench = new ScannerBench(clamd.socket);
    for (let round = 0; round < 2; round++) {
      await Promise.all([1, 2, 3].map((i) => bench.scan(clean(i, 100))));
      await sleep(2500);
      assertEquals(await bench.scan(EICAR), INFECTED);
    }
    assertEquals(bench.told, []);
  },
);

testWithClamd("while the database is loaded anew every verdict is right", {}, async (clamd) => {
  await clamd.start();
  await using bench = new ScannerBench(clamd.socket);
  for (let round = 0; round < 5; round++) {
    const scans = Array.from(
      { length: 50 },
      (_, i) => bench.scan(i % 2 === 0 ? clean(i, 3000) : EICAR),
    );
    using connection = await Deno.connect({ transport: "unix", path: clamd.socket });
    await connection.write(new TextEncoder().encode("nRELOAD\n"));
    const expected = scans.map((_, i) => i % 2 === 0 ? CLEAN : INFECTED);
    assertEquals(await Promise.all(scans), expected);
  }
  assertEquals(bench.told, []);
});
