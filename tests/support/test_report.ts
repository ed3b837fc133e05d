/** Counts what a test runner's JUnit report says, so that the totals are its own. Pure. */

export interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

export interface Report extends Counts {
  readonly failures: readonly string[];
  readonly skips: readonly string[];
}

export const NOTHING: Counts = { passed: 0, failed: 0, skipped: 0 };

export function add(left: Counts, right: Counts): Counts {
  return {
    passed: left.passed + right.passed,
    failed: left.failed + right.failed,
    skipped: left.skipped + right.skipped,
  };
}

export function total({ passed, failed, skipped }: Counts): number {
  return passed + failed + skipped;
}

/** `3 passed, 0 failed`, and `, 1 skipped` if there is something to say about it. */
export function inWords({ passed, failed, skipped }: Counts): string {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`;
}

/**
 * Reads the report of one run of `deno test`. Steps count with the test that they belong to. A run that ended with
 * an error although no test failed (a file that does not load, a crash) counts as a failure of its own.
 */
export function readReport(junit: string | undefined, exitCode: number, label: string): Report {
  const cases = [...(junit ?? "").matchAll(/<testcase ([^>]*)>(.*?)<\/testcase>/gs)].map(
    ([, attributes = "", body = ""]) => ({
      name: unescape(/(?:^| )name="([^"]*)"/.exec(attributes)?.[1] ?? ""),
      failed: body.includes("<failure"),
      skipped: body.includes("<skipped"),
      // What a filter left out is listed as skipped, but without a time.
      chosen: / time="/.test(attributes),
    }),
  ).filter(({ chosen }) => chosen);
  const names = new Set(cases.map(({ name }) => name));
  const tests = cases.filter(({ name }) => !isStep(name, names));
  const failures = tests.filter(({ failed }) => failed).map(({ name }) => name);
  const skips = tests.filter(({ skipped }) => skipped).map(({ name }) => name);
  if (exitCode !== 0 && failures.length === 0) {
    failures.push(`${label}: ended with ${exitCode}, but no test failed`);
  }
  const passed = tests.filter(({ failed, skipped }) => !failed && !skipped).length;
  return { passed, failed: failures.length, skipped: skips.length, failures, skips };
}

/** The report names a step `TEST > STEP`. */
function isStep(name: string, names: ReadonlySet<string>): boolean {
  for (let at = name.indexOf(" > "); at >= 0; at = name.indexOf(" > ", at + 1)) {
    if (names.has(name.slice(0, at))) return true;
  }
  return false;
}

const ENTITIES: Readonly<Record<string, string>> = {
  lt: "<",
  gt: ">",
  amp: "&",
  quot: '"',
  apos: "'",
};

function unescape(text: string): string {
  return text.replace(/&(\w+);/g, (whole, name: string) => ENTITIES[name] ?? whole);
}
