/** I1: an OK counts only for sizes that the scanner is known to look at. */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { statusOf } from "../../ffi/file_status.ts";
import type { Verdict } from "../../src/scanning/scanner.ts";
import {
  ALWAYS_SCANNABLE,
  createProbe,
  showSize,
  SizeLimit,
  tooLargeForChannel,
} from "../../src/scanning/size_limit.ts";
import { EICAR } from "../support/eicar.ts";

const MIB = 1024 * 1024;

/** A scanner that looks at files of up to `limit` bytes, and says OK, or that it did not look, to larger ones. */
class Limited {
  readonly probes: number[] = [];
  fallbacks = 0;
  readonly sizes = new SizeLimit();

  constructor(readonly limit: number, readonly beyond: Verdict = { kind: "clean" }) {}

  readonly probe = (size: number): Promise<Verdict> => {
    this.probes.push(size);
    const found = { kind: "infected", signature: "Eicar" } as const;
    return Promise.resolve(size <= this.limit ? found : this.beyond);
  };

  async check(size: number, largest = 25 * MIB): Promise<string> {
    const used = () => this.fallbacks++;
    return (await this.sizes.check(size, this.probe, { largest, used })).kind;
  }
}

Deno.test("small files need no probe", async () => {
  const scanner = new Limited(0);
  assertEquals(await scanner.check(ALWAYS_SCANNABLE), "scannable");
  assertEquals(scanner.probes, []);
});

Deno.test("a larger file needs a probe of its size or more, and the next ones do not", async () => {
  const scanner = new Limited(100 * MIB);
  assertEquals(await scanner.check(3 * MIB), "scannable");
  assertEquals(scanner.probes, [ALWAYS_SCANNABLE, 4 * MIB]);
  assertEquals(await scanner.check(4 * MIB), "scannable");
  assertEquals(await scanner.check(300 * 1024), "scannable");
  assertEquals(scanner.probes.length, 2);
});

Deno.test("where the rounded size is too large, the exact one decides", async () => {
  const scanner = new Limited(25 * MIB);
  assertEquals(await scanner.check(20 * MIB), "scannable");
  assertEquals(scanner.probes.slice(1), [32 * MIB, 20 * MIB]);
  assertEquals(await scanner.check(25 * MIB), "scannable");
  assertEquals(await scanner.check(25 * MIB + 1), "unscannable");
  assertEquals(await scanner.check(25 * MIB + 2), "unscannable");
  assertEquals(scanner.probes.slice(3), [25 * MIB, 25 * MIB + 1]);
});

Deno.test("a property: exactly what the scanner looks at is scannable, and probes are few", async () => {
  const sizes = fc.array(fc.integer({ min: 1, max: 2 ** 31 }), { minLength: 1, maxLength: 40 });
  const limits = fc.integer({ min: ALWAYS_SCANNABLE, max: 2 ** 31 });
  const beyond = fc.constantFrom<Verdict>(
    { kind: "clean" },
    { kind: "unscannable", reason: "AlertExceedsMax" },
  );
  await fc.assert(fc.asyncProperty(sizes, limits, beyond, async (files, limit, verdict) => {
    const scanner = new Limited(limit, verdict);
    for (const size of files) {
      const before = scanner.probes.length;
      assertEquals(await scanner.check(size), size <= limit ? "scannable" : "unscannable");
      assert(scanner.probes.length - before <= 3);
      const again = scanner.probes.length;
      await scanner.check(size);
      assertEquals(scanner.probes.length, again, "it remembers");
    }
    assertEquals(scanner.fallbacks, 0);
  }));
});

Deno.test("where no padded probe is found, the configuration decides, and that is told", async () => {
  const scanner = new Limited(EICAR.length);
  assertEquals(await scanner.check(25 * MIB), "scannable");
  assertEquals(await scanner.check(25 * MIB + 1), "unscannable");
  assertEquals(await scanner.check(90 * MIB, 100 * MIB), "scannable");
  assertEquals(scanner.probes, [ALWAYS_SCANNABLE]);
  assertEquals(scanner.fallbacks, 1);
});

Deno.test("a probe without an answer proves nothing, and is made again", async () => {
  const scanner = new Limited(0, { kind: "error", reason: "gone" });
  assertEquals(await scanner.check(MIB), "error");
  assertEquals(await scanner.check(MIB), "error");
  assertEquals(scanner.probes, [ALWAYS_SCANNABLE, ALWAYS_SCANNABLE]);
  const later = new Limited(ALWAYS_SCANNABLE, { kind: "error", reason: "gone" });
  assertEquals(await later.check(MIB), "error");
  assertEquals(await later.check(MIB), "error");
  assertEquals(later.probes, [ALWAYS_SCANNABLE, MIB, MIB]);
});

Deno.test("a probe is EICAR at the start of a file of exactly that size that takes no room", () => {
  using file = createProbe(64 * MIB);
  const { size, blocks } = statusOf(file);
  assertEquals(size, 64 * MIB);
  assert(blocks * 512 < MIB);
  const content = Deno.readFileSync(`/proc/self/fd/${file.fd}`);
  assertEquals(content.subarray(0, EICAR.length), EICAR);
  assert(content.subarray(EICAR.length).every((byte) => byte === 0));
});

Deno.test("the reason names the size and what to change", async () => {
  const scanner = new Limited(MIB);
  const used = () => {};
  const verdict = await scanner.sizes.check(1.5 * MIB, scanner.probe, { largest: MIB, used });
  assert(verdict.kind === "unscannable");
  assert(verdict.reason.includes("1.5 MiB") && verdict.reason.includes("MaxFileSize"));
  const huge = await scanner.sizes.check(2 ** 31 - 2, scanner.probe, { largest: MIB, used });
  assert(huge.kind === "unscannable");
  assert(huge.reason.includes("scanning.oversize") && !huge.reason.includes("MaxScanSize"));
  const ours = tooLargeForChannel(6 * MIB, 5 * MIB);
  assert(ours.kind === "unscannable" && ours.reason.includes("scanning.maxFileSize, 5 MiB"));
});

Deno.test("sizes are shown in the unit that tells them exactly", () => {
  assertEquals([1024, 1536, 25 * MIB, 25 * MIB + 1, 2 ** 31, 68, 0].map(showSize), [
    "1 KiB",
    "1.5 KiB",
    "25 MiB",
    "26214401 bytes",
    "2 GiB",
    "68 bytes",
    "0 bytes",
  ]);
});
