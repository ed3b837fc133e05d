/** The scanner against a real clamd: right verdicts, and none where clamd did not look. */

import { createHash } from "node:crypto";
// @ts-types="../support/assert.d.ts"
import { assert, assertEquals, assertMatch } from "@std/assert";
import { socketPair } from "../../ffi/socket.ts";
import type { Clamd } from "../support/clamd.ts";
import { clean, EICAR, infected } from "../support/eicar.ts";
import {
  CLEAN,
  fileOf,
  INFECTED,
  openSockets,
  reasonOf,
  ScannerBench,
  testWithClamd,
  WAYS,
} from "../support/scanner_bench.ts";
import { sleep, waitFor } from "../support/wait.ts";

const MIB = 1024 * 1024;
const LIMITED = { MaxFileSize: "3M", MaxScanSize: "3M", StreamMaxLength: "100M" };

/** Ends clamd and starts it with other options. */
async function restart(clamd: Clamd, options: Record<string, string>): Promise<void> {
  await clamd.kill();
  clamd.configure(options);
  await clamd.start();
}

/** That clamd made so many scans, probes among them. It logs a scan just after its answer. */
async function assertScans(clamd: Clamd, count: number): Promise<void> {
  await waitFor(`${count} scans`, () => clamd.scans >= count);
  assertEquals(clamd.scans, count);
}

for (const way of WAYS) {
  testWithClamd(`300 files of mixed content at once get the right verdicts, by ${way}`, {
    MaxThreads: 6,
  }, async (clamd) => {
    await clamd.start();
    await using bench = new ScannerBench(clamd.socket, { way });
    const sizes = [1, 68, 69, 100, 4096, 65_537, 200_000, 262_144];
    await Promise.all(Array.from({ length: 300 }, async (_, i) => {
      const size = sizes[i % sizes.length] ?? 1;
      const isInfected = i % 3 === 0 && size >= EICAR.length;
      const verdict = await bench.scan(isInfected ? infected(size) : clean(i, size));
      assertEquals(verdict, isInfected ? INFECTED : CLEAN, `file ${i} of ${size} bytes`);
    }));
    await assertScans(clamd, 300);
    assertEquals(bench.told, []);
  });
}

testWithClamd("it says what answers, and asks clamd for its threads", {
  MaxThreads: 7,
}, async (clamd) => {
  await clamd.start();
  await using bench = new ScannerBench(clamd.socket);
  const answer = await bench.scanner.check();
  assert(answer.available);
  assertMatch(answer.version, /^ClamAV \d/);
  assertEquals(bench.scanner.concurrency, 7);
  await using other = new ScannerBench(clamd.socket, { concurrency: 3 });
  await other.scanner.check();
  assertEquals(other.scanner.concurrency, 3, "a number that was given stays");
});

testWithClamd("an empty file is clean", {}, async (clamd) => {
  await clamd.start();
  for (const way of WAYS) {
    await using bench = new ScannerBench(clamd.socket, { way });
    assertEquals(await bench.scan(new Uint8Array(0)), CLEAN);
  }
});

testWithClamd(
  "what is no regular file is an error, and the connection goes on",
  {},
  async (clamd) => {
    await clamd.start();
    await using bench = new ScannerBench(clamd.socket, { concurrency: 1 });
    assertEquals(await bench.scan(clean(1, 100)), CLEAN);
    const [one, other] = socketPair();
    assertMatch(reasonOf(await bench.scanner.scan(one, 1)), /Not a regular file/);
    one.close();
    other.close();
    assertEquals(await bench.scan(infected(100)), INFECTED);
    assertEquals(bench.told, []);
  },
);

for (const way of WAYS) {
  testWithClamd(
    `I1: what clamd skips is unscannable, not clean, by ${way}`,
    LIMITED,
    async (clamd) => {
      await clamd.start();
      await using bench = new ScannerBench(clamd.socket, { way });
      const harmless = clean(1, 1000);
      for (const size of [200_000, 2.5 * MIB, 3 * MIB]) {
        assertEquals(await bench.scan(harmless, size), CLEAN, `${size} bytes`);
        assertEquals(await bench.scan(EICAR, size), INFECTED, `${size} bytes`);
      }
      for (const content of [harmless, EICAR]) {
        const verdict = await bench.scan(content, 3 * MIB + 1);
        assertEquals(verdict.kind, "unscannable");
        assertMatch(reasonOf(verdict), /3145729 bytes .* MaxFileSize/);
      }
      assertEquals(bench.told, []);
    },
  );

  testWithClamd(
    `I1: what one clamd looked at proves nothing of the next, by ${way}`,
    LIMITED,
    async (clamd) => {
      await clamd.start();
      await using bench = new ScannerBench(clamd.socket, { way });
      const harmless = clean(1, 1000);
      assertEquals(await bench.scan(harmless, 2.5 * MIB), CLEAN);
      assertEquals((await bench.scan(harmless, 4 * MIB)).kind, "unscannable");
      await restart(clamd, { ...LIMITED, MaxFileSize: "1M" });
      // A stream does not show who is at its end, so what is known of it is believed for a short time only.
      if (way === "INSTREAM") await sleep(5_100);
      assertEquals((await bench.scan(harmless, 2.5 * MIB)).kind, "unscannable");
      await restart(clamd, { ...LIMITED, MaxFileSize: "20M", MaxScanSize: "20M" });
      if (way === "INSTREAM") await sleep(5_100);
      assertEquals(await bench.scan(harmless, 4 * MIB), CLEAN);
    },
  );
}

testWithClamd("I1: a skip that clamd tells of is unscannable, never infected", {
  ...LIMITED,
  AlertExceedsMax: "yes",
}, async (clamd) => {
  await clamd.start();
  await using bench = new ScannerBench(clamd.socket);
  const verdict = await bench.scan(clean(1, 1000), 4 * MIB);
  assertEquals(verdict.kind, "unscannable");
  assertMatch(reasonOf(verdict), /MaxFileSize/);
  await assertScans(clamd, 1);
});

testWithClamd(
  "a limit that the user gives decides, and no probe is made",
  LIMITED,
  async (clamd) => {
    await clamd.start();
    await using bench = new ScannerBench(clamd.socket);
    const limits = { maxFileSize: 5 * MIB };
    assertEquals(await bench.scan(clean(1, 10), 5 * MIB, limits), CLEAN);
    await assertScans(clamd, 1);
    const verdict = await bench.scan(EICAR, 5 * MIB + 1, limits);
    assertMatch(reasonOf(verdict), /scanning.maxFileSize, 5 MiB/);
    await assertScans(clamd, 1);
  },
);

testWithClamd("I1: an OK after clamd's time was up is no verdict", {
  MaxFileSize: "1000M",
  MaxScanSize: "1000M",
  MaxScanTime: 20,
}, async (clamd) => {
  await clamd.start();
  await using bench = new ScannerBench(clamd.socket, { configuration: "MaxScanTime 20" });
  const maxFileSize = 100 * MIB;
  const verdict = await bench.scan(EICAR, maxFileSize, { maxFileSize });
  assertEquals(verdict.kind, "unscannable");
  assertMatch(reasonOf(verdict), /MaxScanTime/);
});

testWithClamd(
  "a database that knows the bare test string only: the configuration decides, told once",
  {
    MaxFileSize: "4M",
  },
  async (clamd) => {
    const md5 = createHash("md5").update(EICAR).digest("hex");
    await Deno.remove(`${clamd.folder}/database/test.ndb`);
    await Deno.writeTextFile(`${clamd.folder}/database/test.hdb`, `${md5}:68:Bare.Eicar\n`);
    await clamd.start();
    await using bench = new ScannerBench(clamd.socket, { configuration: "MaxFileSize 4M" });
    assertEquals((await bench.scan(EICAR)).kind, "infected");
    assertEquals(await bench.scan(clean(1, 10), 4 * MIB), CLEAN);
    assertEquals((await bench.scan(clean(1, 10), 4 * MIB + 1)).kind, "unscannable");
    await using unknown = new ScannerBench(clamd.socket);
    assertEquals((await unknown.scan(clean(1, 10), 25 * MIB + 1)).kind, "unscannable");
    assertEquals([bench.told.length, unknown.told.length], [1, 1]);
    assertMatch(bench.told[0] ?? "", /its configuration says: 4 MiB/);
    assertMatch(unknown.told[0] ?? "", /not known either.*: 25 MiB/);
  },
);

testWithClamd("a stream that clamd refuses is unscannable, though it is answered early", {
  StreamMaxLength: "1M",
}, async (clamd) => {
  await clamd.start();
  await using bench = new ScannerBench(clamd.socket, { way: "INSTREAM" });
  const verdict = await bench.scan(clean(1, 1000), 60 * MIB);
  assertEquals(verdict.kind, "unscannable");
  assertMatch(reasonOf(verdict), /StreamMaxLength/);
  assertEquals(bench.told, []);
});

testWithClamd(
  "a file that becomes shorter while it is streamed has no verdict",
  {},
  async (clamd) => {
    await clamd.start();
    await using bench = new ScannerBench(clamd.socket, { way: "INSTREAM" });
    using file = fileOf(EICAR);
    assertMatch(reasonOf(await bench.scanner.scan(file, 1000)), /shorter/);
    assertEquals(await bench.scan(EICAR), INFECTED);
    assertEquals(bench.told, []);
  },
);

testWithClamd("I6: after many scans no connection stays", { MaxThreads: 3 }, async (clamd) => {
  await clamd.start();
  const before = openSockets();
  await using bench = new ScannerBench(clamd.socket);
  await bench.scanner.check();
  await Promise.all(Array.from({ length: 100 }, (_, i) => bench.scan(clean(i, 100))));
  assert(openSockets() - before <= 3, "no more than clamd has threads");
  await waitFor("none is left", () => openSockets() === before);
});

testWithClamd("I1: where clamd's listening queue is short, whoever finds it full tries again", {
  MaxThreads: 8,
  MaxConnectionQueueLength: 1,
}, async (clamd) => {
  await clamd.start();
  await using bench = new ScannerBench(clamd.socket);
  await bench.scanner.check();
  for (let round = 0; round < 3; round++) {
    const scans = Array.from({ length: 50 }, () => bench.scan(infected(4096)));
    assertEquals(await Promise.all(scans), Array(50).fill(INFECTED));
    await sleep(1_600); // no connection is left
  }
  assertEquals(bench.told, []);
});

testWithClamd("files of any size that are scanned one after the other cost a probe or two", {
  MaxFileSize: "8M",
}, async (clamd) => {
  await clamd.start();
  await using bench = new ScannerBench(clamd.socket);
  for (let file = 0; file < 6; file++) {
    assertEquals(await bench.scan(clean(file, 1000), MIB), CLEAN);
    await sleep(600);
  }
  await assertScans(clamd, 6 + 2);
});

// With so many sessions open, used or not, clamd takes no other connection.
for (
  const [MaxThreads, MaxQueue, scanners] of [[1, 2, 1], [2, 4, 1], [2, 4, 3], [2, 8, 4]] as const
) {
  testWithClamd(
    `I7: a clamd with MaxThreads ${MaxThreads} and MaxQueue ${MaxQueue} serves ${scanners} that scan much, and others meanwhile`,
    { MaxThreads, MaxQueue },
    async (clamd) => {
      await clamd.start();
      await using stack = new AsyncDisposableStack();
      const benches = Array.from(
        { length: scanners },
        () => stack.use(new ScannerBench(clamd.socket, { concurrency: 4 })),
      );
      for (const { scanner } of benches) await scanner.check();
      const answered = async (when: string) => {
        const pinging = clamd.ping();
        let isAnswered = false;
        pinging.then(() => isAnswered = true);
        await waitFor(`clamd answers another one ${when}`, () => isAnswered, 20_000);
      };
      for (const round of [1, 2]) {
        const scans = benches.flatMap((bench) =>
          Array.from({ length: 200 }, (_, i) => bench.scan(i % 2 ? infected(4096) : clean(i, 4096)))
        );
        await answered(`while it scans, round ${round}`);
        const verdicts = await Promise.all(scans);
        assertEquals(verdicts.filter(({ kind }) => kind !== "clean" && kind !== "infected"), []);
        await answered(`afterwards, round ${round}`);
      }
      assertEquals(benches.flatMap(({ told }) => told), []);
    },
  );
}
