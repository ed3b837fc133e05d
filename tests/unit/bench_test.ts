/** The benchmark's arithmetic and its words are true. */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals, assertMatch, assertRejects, assertThrows } from "@std/assert";
import type { Effort, Figure } from "../../bench/case.ts";
import { drawBars, drawGrowth } from "../../bench/plots.ts";
import { markdownOf, outcomeOf, textOf, verdictOn } from "../../bench/report.ts";
import { type CaseResult, type Results, withAgain } from "../../bench/results.ts";
import { inRounds } from "../../bench/rounds.ts";
import { exponent, fitGrowth, median, percentile, ratios } from "../../bench/statistics.ts";
import { decadesAround, Drawing, logScale } from "../../bench/svg.ts";

const NUMBERS = [10, 100, 1000, 3000, 10_000, 30_000, 100_000];

function costs(law: (number: number) => number): [number, number][] {
  return NUMBERS.map((number) => [number, law(number)]);
}

const FIGURE: Figure = {
  title: "all",
  unit: "s",
  ours: [2, 3, 4],
  reference: [1, 2, 4],
  jitless: [6],
  bar: { ratio: 1.5 },
};

const RESULT: CaseResult = {
  name: "one",
  title: "a < b & c",
  how: "so",
  figures: [FIGURE],
  growth: [],
  seconds: 1,
};

function effort(jit: number, jitless: number): Effort {
  return { size: "smoke", rounds: { jit, jitless }, say: () => {} };
}

Deno.test("medians and percentiles are values that were measured", () => {
  assertEquals(median([3, 1, 2]), 2);
  assertEquals(median([]), NaN);
  const hundred = Array.from({ length: 100 }, (_, i) => 100 - i);
  assertEquals(percentile(hundred, 99), 99);
  assertEquals(percentile(hundred, 100), 100);
  assertEquals(percentile([5], 99), 5);
});

Deno.test("each of ours is compared with what was measured beside it", () => {
  assertEquals(ratios([2, 3, 4], [1, 2, 4]), [2, 1.5, 1]);
  assertEquals(ratios([6], [2, 3]), [3]);
});

Deno.test("growth is judged by its end, whatever the beginning costs", () => {
  const near = (value: number, wanted: number) =>
    assert(Math.abs(value - wanted) < 0.05, `${value}`);
  near(exponent(costs((n) => n ** 2)), 2);
  near(fitGrowth(costs((n) => 3 + n / 1e5)).exponent, 1);
  assertEquals(fitGrowth(costs((n) => 3 + n / 1e5)).faster, false);
  assertEquals(fitGrowth(costs((n) => n * Math.log(n))).faster, false);
  assertEquals(fitGrowth(costs((n) => 1 + n ** 1.4 / 1e6)).faster, true);
  assertEquals(fitGrowth(costs((n) => 0.1 + n / 1e5 + n * n / 1e9)).faster, true);
  assertEquals(fitGrowth(costs(() => 7)).exponent, 0);
  assertEquals(fitGrowth(costs(() => 7)).faster, false);
  assertMatch(verdictOn({ title: "", of: "", unit: "s", points: [[1, 1], [2, 9]] }), /too few/);
});

Deno.test("ours and the reference are measured in turns, and neither always goes first", async () => {
  const turns: string[] = [];
  const measured = await inRounds(effort(3, 1), {
    reference: (round) =>
      Promise.resolve(turns.push("reference")).then(() => ({ all: 10 + round })),
    ours: (runtime, round) => Promise.resolve(turns.push(runtime)).then(() => ({ all: round })),
  });
  assertEquals(turns, ["reference", "jit", "jitless", "jit", "reference", "reference", "jit"]);
  const figure = measured.figure("all", { title: "", unit: "s", bar: {} });
  assertEquals([figure.ours, figure.reference, figure.jitless], [[0, 1, 2], [10, 11, 12], [0]]);
});

Deno.test("a figure that a round did not bring is a failure, not an empty cell", async () => {
  const measured = await inRounds(effort(1, 0), { ours: () => Promise.resolve({ all: NaN }) });
  const head = { title: "", unit: "s", bar: {} } as const;
  await assertRejects(() => Promise.resolve().then(() => measured.figure("all", head)));
  await assertRejects(() => Promise.resolve().then(() => measured.figure("other", head)));
});

Deno.test("a bar is reached if all of it is", () => {
  assertEquals(outcomeOf(FIGURE), "reached"); // the median of 2, 1.5 and 1
  assertEquals(outcomeOf({ ...FIGURE, bar: { ratio: 1.4 } }), "missed");
  assertEquals(outcomeOf({ ...FIGURE, bar: { ratio: 1.5, most: 2.9 } }), "missed");
  assertEquals(outcomeOf({ ...FIGURE, bar: { ratio: 1, plus: 1 } }), "reached");
  assertEquals(outcomeOf({ ...FIGURE, bar: { ratio: 1, plus: 0.9 } }), "missed");
  assertEquals(outcomeOf({ ...FIGURE, bar: { most: 0 }, ours: [0] }), "reached");
  assertEquals(outcomeOf({ ...FIGURE, bar: {} }), "–");
});

Deno.test("the tables say what was measured, and what was not", () => {
  const text = textOf([RESULT]);
  assertMatch(text, /a < b & c: all +3\.00 s \(2\.00–4\.00\) +2\.00 s \(1\.00–4\.00\)/);
  assertMatch(text, /1\.50 × \(1\.00–2\.00\) +≤ 1\.5 × +reached +3\.00 ×/);
  const failed: CaseResult = {
    ...RESULT,
    figures: [],
    problem: { kind: "failed", reason: "broken" },
  };
  const head = { size: "quick", begun: "2030-01-02T03:04:05Z", seconds: 60, machine: {} } as const;
  const markdown = markdownOf({ ...head, cases: [RESULT, failed] });
  assertMatch(markdown, /bench --quick --write` on 2030-01-02, in 1 minute/);
  assertMatch(markdown, /\| a < b & c \| – \| – \| – \| – \| failed \| – \|/);
  assertMatch(markdown, /- one: failed: broken/);
});

/** Whether every element that is opened is closed; throws where text is not escaped. */
function assertWellFormed(svg: string): void {
  const open: string[] = [];
  const rest = svg.replace(
    /<(\/?)([a-z]+)((?:\s[\w:-]+="[^"<&]*")*)\s*(\/?)>/g,
    (_, end, name, __, empty) => {
      if (end === "/") assertEquals(open.pop(), name);
      else if (empty === "") open.push(name);
      return "";
    },
  );
  assertEquals(open, []);
  assertEquals(rest.match(/[<>]|&(?!amp;|lt;|gt;)/g), null);
}

Deno.test("the pictures are well-formed, whatever the titles hold", () => {
  const bars = drawBars([RESULT, { ...RESULT, figures: [{ ...FIGURE, bar: { most: 0 } }] }]);
  assertWellFormed(bars);
  assertMatch(bars, /a &lt; b &amp; c: all/);
  const growth = { title: "x & y", of: "files", unit: "s", points: costs((n) => n) } as const;
  assertWellFormed(drawGrowth([{ ...RESULT, figures: [], growth: [growth] }]));
  assertWellFormed(drawBars([]));
  assertWellFormed(drawGrowth([]));
  assertWellFormed(new Drawing(1, 1).toString());
});

Deno.test("a logarithmic scale puts decades at equal distances", () => {
  const scale = logScale([1, 100], [0, 200]);
  assertEquals([1, 10, 100].map((value) => Math.round(scale(value))), [0, 100, 200]);
  assertEquals(decadesAround([0.02, 30]), [0.01, 100]);
  assertEquals(decadesAround([10]), [10, 100]);
});

Deno.test("a case that is measured again takes its place among the others, on the same machine only", () => {
  const whole: Results = {
    size: "full",
    begun: "2026-01-01T00:00:00.000Z",
    seconds: 60,
    machine: { kernel: "6.18", commit: "aaa", load: "0" },
    cases: [RESULT, { ...RESULT, name: "two" }],
  };
  const seconds = 7;
  const again = { ...whole.machine, commit: "bbb", load: "1" };
  const later: Results = {
    ...whole,
    begun: "2026-02-02T00:00:00.000Z",
    machine: again,
    cases: [{ ...RESULT, seconds }, { ...RESULT, name: "three" }],
  };
  const merged = withAgain(whole, later);
  assertEquals(merged.cases.map(({ name }) => name), ["one", "two", "three"]);
  assertEquals(merged.cases.map((one) => one.seconds), [seconds, 1, 1]);
  assertEquals(merged.cases.map((one) => one.again?.commit), ["bbb", undefined, "bbb"]);
  assertMatch(markdownOf(merged), /`one` \(7 s, on 2026-02-02 at bbb\)/);
  assertThrows(() => withAgain({ ...whole, size: "quick" }, later), Error, "a quick run");
  const elsewhere = { ...later, machine: { ...again, kernel: "6.19" } };
  assertThrows(() => withAgain(whole, elsewhere), Error, "another kernel");
});
