/** The counts of the closing line are true. */

// @ts-types="../support/assert.d.ts"
import { assertEquals } from "@std/assert";
import { add, inWords, NOTHING, readReport } from "../support/test_report.ts";

const JUNIT = `<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="deno test" tests="7" failures="3" errors="0" time="0.009">
    <testsuite name="./d.ts" tests="7" disabled="2" errors="0" failures="3">
        <testcase name="a &lt; b &amp; &quot;c&quot;" classname="./d.ts" time="0.001" line="1" col="6">
            <failure message="Uncaught">Error: f</failure>
        </testcase>
        <testcase name="a step &gt; none" classname="./d.ts" time="0.002" line="2" col="6">
        </testcase>
        <testcase name="parent" classname="./d.ts" time="0.002" line="2" col="6">
            <failure message="1 test step failed">1 test step failed.</failure>
        </testcase>
        <testcase name="parent &gt; step" classname="./d.ts" time="0.002" line="2" col="6">
            <failure message="Uncaught">Error: x</failure>
        </testcase>
        <testcase name="parent &gt; step &gt; deep" classname="./d.ts" time="0.001" line="2" col="6">
        </testcase>
        <testcase name="ignored" classname="./d.ts" time="0.000" line="4" col="6">
            <skipped/>
        </testcase>
        <testcase name="filtered out" classname="./d.ts" line="4" col="6">
            <skipped/>
        </testcase>
    </testsuite>
</testsuites>`;

Deno.test("tests are counted, not their steps, nor what a filter left out", () => {
  assertEquals(readReport(JUNIT, 1, "d.ts"), {
    passed: 1,
    failed: 2,
    skipped: 1,
    failures: ['a < b & "c"', "parent"],
    skips: ["ignored"],
  });
});

Deno.test("a file that does not load, or a process that dies, counts as a failure", () => {
  assertEquals(readReport(undefined, 1, "d.ts").failed, 1);
  assertEquals(readReport("", 139, "d.ts").failures, ["d.ts: ended with 139, but no test failed"]);
  assertEquals(readReport("", 0, "d.ts").failed, 0);
});

Deno.test("the closing line speaks of skipped tests only if there are any", () => {
  const counts = { passed: 3, failed: 0, skipped: 0 };
  assertEquals(inWords(counts), "3 passed, 0 failed");
  assertEquals(inWords(add(counts, { ...NOTHING, skipped: 2 })), "3 passed, 0 failed, 2 skipped");
});
