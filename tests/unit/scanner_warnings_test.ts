/** What clamd's configuration lets pass unseen is told before it happens (I1). */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { parseConfiguration } from "../../src/gate/config/configuration.ts";
import { formatFault } from "../../src/gate/config/fault.ts";
import { scannerWarnings } from "../../src/gate/scanner_warnings.ts";
import { type ClamdLimits, parseClamdLimits } from "../../src/scanning/clamd_configuration.ts";

const LIMITED = parseClamdLimits("AlertExceedsMax yes\nMaxFileSize 100M\nMaxScanSize 400M\n");
const MIB = 2 ** 20;

function warningsOf(scanning: object, limits: ClamdLimits | undefined): string[] {
  const written = { docs: { basePath: "/srv/docs", producers: ["ann", "bob"], scanning } };
  const { channels } = parseConfiguration(JSON.stringify(written), { unknownKeys: "fault" });
  assertEquals(channels.length, 1);
  return scannerWarnings(channels, limits, "/etc/clamav/clamd.conf").map(formatFault);
}

Deno.test("I1: files that may be larger than clamd looks at are warned of", () => {
  for (const maxFileSize of [undefined, 1, 100 * MIB]) {
    assertEquals(warningsOf({ maxFileSize }, LIMITED), []);
  }
  const large = { maxFileSize: 200 * MIB };
  const told =
    "warning: docs.scanning.maxFileSize: 200 MiB is more than clamd looks at (100 MiB, by " +
    "/etc/clamav/clamd.conf): files between the two ";
  assertEquals(warningsOf(large, LIMITED), [`${told}are held`]);
  assertEquals(
    warningsOf(large, { ...LIMITED, alertExceedsMax: false })[1],
    `${told}travel UNSCANNED`,
  );
  assertEquals(warningsOf({ maxFileSize: 2 ** 31 - 3 }, undefined), []);
  const [said] = warningsOf({ maxFileSize: 2 ** 31 }, undefined);
  assertStringIncludes(said ?? "", "2 GiB is more than clamd looks at (2147483645 bytes)");
  assertStringIncludes(said ?? "", "may travel UNSCANNED");
  assertEquals(warningsOf({ maxFileSize: 200 * MIB, enable: false }, LIMITED), []);
});

Deno.test("I1: a clamd that is silent about what it skips is warned of", () => {
  const [said, ...more] = warningsOf({}, { ...LIMITED, alertExceedsMax: false });
  assertStringIncludes(said ?? "", 'clamd.conf does not set "AlertExceedsMax yes"');
  assert(more.length === 0);
  assertEquals(warningsOf({ enable: false }, { ...LIMITED, alertExceedsMax: false }), []);
});

Deno.test("a configuration of clamd that is given, and cannot be read, is warned of", () => {
  const written = '{"docs": {"basePath": "/srv/docs", "producers": ["ann", "bob"]}}';
  const { channels } = parseConfiguration(written, { unknownKeys: "fault" });
  const warnings = (path: string) => scannerWarnings(channels, undefined, path).map(formatFault);
  assertEquals(warnings("/etc/clamav/clamd.conf"), [], "it may run elsewhere");
  assertStringIncludes(warnings("/etc/other.conf")[0] ?? "", "/etc/other.conf cannot be read");
});
