/** clamd's limits as its configuration file states them. */

// @ts-types="../support/assert.d.ts"
import { assertEquals } from "@std/assert";
import fc from "fast-check";
import {
  DEFAULT_LIMITS,
  largestScannable,
  parseClamdLimits,
  readClamdLimits,
} from "../../src/scanning/clamd_configuration.ts";
import { scratchDirectory } from "../support/scratch.ts";

const MIB = 1024 * 1024;

Deno.test("the limits of Debian's configuration", () => {
  const limits = parseClamdLimits(`
# Automatically generated
LocalSocket /var/run/clamav/clamd.ctl
MaxScanSize 100M
MaxFileSize 25M
StreamMaxLength 25M
MaxScanTime 120000
AlertExceedsMax false
`);
  assertEquals(limits, {
    maxFileSize: 25 * MIB,
    maxScanSize: 100 * MIB,
    streamMaxLength: 25 * MIB,
    maxScanTimeMs: 120_000,
    alertExceedsMax: false,
  });
  assertEquals(largestScannable(limits), 25 * MIB);
});

Deno.test("sizes have units, 0 is no limit, and libclamav has one of its own", () => {
  assertEquals(parseClamdLimits("MaxFileSize 4096").maxFileSize, 4096);
  assertEquals(parseClamdLimits("MaxFileSize 64k").maxFileSize, 65536);
  assertEquals(parseClamdLimits("maxfilesize 1G # much").maxFileSize, 1024 * MIB);
  const unlimited = parseClamdLimits("MaxFileSize 0\nMaxScanSize 0\nMaxScanTime 0");
  assertEquals(unlimited.maxScanTimeMs, Infinity);
  assertEquals(largestScannable(unlimited), 2 ** 31 - 3);
  assertEquals(largestScannable(parseClamdLimits("MaxFileSize 2G\nMaxScanSize 50M")), 50 * MIB);
});

Deno.test("AlertExceedsMax, under both of its names", () => {
  for (const text of ["AlertExceedsMax yes", "AlertExceedsMax TRUE", "BlockMax 1"]) {
    assertEquals(parseClamdLimits(text).alertExceedsMax, true, text);
  }
  for (const text of ["AlertExceedsMax no", "#AlertExceedsMax yes", "AlertExceedsMax"]) {
    assertEquals(parseClamdLimits(text).alertExceedsMax, false, text);
  }
});

Deno.test("what makes no sense leaves the default", () => {
  for (const value of ["lots", "-1", "1T", "1.5M", ""]) {
    assertEquals(parseClamdLimits(`MaxFileSize ${value}`), DEFAULT_LIMITS, value);
  }
  assertEquals(parseClamdLimits("MaxScanTime soon"), DEFAULT_LIMITS);
});

Deno.test("a property: any text is read, and every limit is a positive number", () => {
  const line = fc.tuple(
    fc.constantFrom("MaxFileSize", "MaxScanSize", "StreamMaxLength", "MaxScanTime", "Foo"),
    fc.oneof(fc.string(), fc.nat().map(String)),
  ).map((parts) => parts.join(" "));
  fc.assert(fc.property(fc.array(line), (lines) => {
    const limits = parseClamdLimits(lines.join("\n"));
    for (const value of Object.values(limits)) assertEquals(value === true || value >= 0, true);
    assertEquals(largestScannable(limits) > 0, true);
  }));
});

Deno.test("a file that cannot be read tells nothing", async () => {
  const folder = scratchDirectory("clamd-conf");
  assertEquals(readClamdLimits(`${folder}/missing`), undefined);
  await Deno.writeTextFile(`${folder}/clamd.conf`, "MaxFileSize 7M\n");
  assertEquals(readClamdLimits(`${folder}/clamd.conf`)?.maxFileSize, 7 * MIB);
});
