/** Results in words: a table for the terminal and for RESULTS.md. */

import type { Bar, Figure, Growth } from "./case.ts";
import type { CaseResult, Results } from "./results.ts";
import { fitGrowth, median, ratios } from "./statistics.ts";

export type Outcome = "reached" | "missed" | "–";

export function outcomeOf(figure: Figure): Outcome {
  const { ratio, plus = 0, most } = figure.bar;
  if (ratio === undefined && most === undefined) return "–";
  const ours = median(figure.ours);
  const withinMost = most === undefined || ours <= most;
  const withinRatio = ratio === undefined ||
    (plus === 0 ? ratioOf(figure) <= ratio : ours <= ratio * median(figure.reference) + plus);
  return withinMost && withinRatio ? "reached" : "missed";
}

/** The median of the rounds' ratios: each pair ran side by side, so what else the machine did cancels out. */
function ratioOf(figure: Figure): number {
  return median(ratios(figure.ours, figure.reference));
}

function barInWords({ ratio, plus, most }: Bar, unit: string): string {
  const parts = [];
  if (ratio !== undefined) {
    parts.push(`≤ ${ratio} ×${plus === undefined ? "" : ` + ${plus} ${unit}`}`);
  }
  if (most !== undefined) parts.push(`≤ ${most} ${unit}`);
  return parts.length === 0 ? "–" : parts.join(" and ");
}

/** Three significant digits are more than is true. */
export function rounded(value: number): string {
  if (!Number.isFinite(value)) return "–";
  if (value === 0) return "0";
  const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))));
  return value.toFixed(Math.min(digits, 4));
}

/** `0.512 s (0.481–0.630)` */
function withSpread(values: readonly number[], unit: string): string {
  if (!values.some(Number.isFinite)) return "–";
  const middle = `${rounded(median(values))} ${unit}`;
  if (values.length === 1) return middle;
  return `${middle} (${rounded(Math.min(...values))}–${rounded(Math.max(...values))})`;
}

const HEADS = [
  "Case",
  "Ours",
  "Reference",
  "Ours / reference",
  "Bar",
  "",
  "Jitless / JIT",
] as const;
const GROWTH_HEADS = ["Growth", "From", "To", "Exponent", "n log n", ""] as const;

function rowsOf({ title, figures, problem, growth }: CaseResult): string[][] {
  if (problem !== undefined) {
    const word = problem.kind === "failed" ? "failed" : "not run";
    return [[title, "–", "–", "–", "–", word, "–"]];
  }
  if (growth.length > 0) return [];
  return figures.map((figure) => {
    const { unit, ours, reference, jitless } = figure;
    return [
      [title, figure.title].filter((part) => part !== "").join(": "),
      withSpread(ours, unit),
      withSpread(reference, unit),
      withSpread(ratios(ours, reference), "×"),
      barInWords(figure.bar, unit),
      outcomeOf(figure),
      withSpread(ratios(jitless, ours), "×"),
    ];
  });
}

/** Whether a cost grows as it may. */
export function verdictOn({ points }: Growth): string {
  const { exponent, faster } = fitGrowth(points);
  if (Number.isNaN(exponent)) return "too few numbers to tell";
  return faster ? "faster than n log n: a defect" : "not faster than n log n";
}

function growthRow(growth: Growth): string[] {
  const { title, of, unit, points } = growth;
  const { exponent, logarithmic } = fitGrowth(points);
  const point = (at: number) => {
    const [number = NaN, cost = NaN] = points.at(at) ?? [];
    return `${number}: ${rounded(cost)} ${unit}`;
  };
  return [
    `${title}, by ${of}`,
    point(0),
    point(-1),
    rounded(exponent),
    rounded(logarithmic),
    verdictOn(growth),
  ];
}

function growthRows(cases: readonly CaseResult[]): string[][] {
  return cases.flatMap(({ growth }) => growth).map(growthRow);
}

function aligned(heads: readonly string[], rows: readonly string[][]): string {
  const all = [[...heads], ...rows];
  const widths = heads.map((_, i) => Math.max(...all.map((row) => row[i]?.length ?? 0)));
  const line = (row: string[]) =>
    row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join("  ").trimEnd();
  return all.map(line).join("\n");
}

function markdown(heads: readonly string[], rows: readonly string[][]): string {
  const line = (row: readonly string[]) => `| ${row.join(" | ")} |`;
  return [line(heads), line(heads.map(() => "---")), ...rows.map(line)].join("\n");
}

/** For the terminal. */
export function textOf(cases: readonly CaseResult[]): string {
  const parts = [];
  const rows = cases.flatMap(rowsOf);
  if (rows.length > 0) parts.push(aligned(HEADS, rows));
  const growth = growthRows(cases);
  if (growth.length > 0) parts.push(aligned(GROWTH_HEADS, growth));
  return parts.join("\n\n");
}

/** For RESULTS.md. */
export function markdownOf({ size, begun, seconds, machine, cases }: Results): string {
  const minutes = (seconds / 60).toFixed(0);
  const failures = cases.flatMap(({ name, problem }) =>
    problem === undefined ? [] : [`- ${name}: ${problem.kind}: ${problem.reason.split("\n")[0]}`]
  );
  const growth = growthRows(cases);
  const lines = [
    "# What was measured",
    "",
    `Written by \`deno task bench ${size === "full" ? "" : `--${size} `}--write\` on ` +
    `${begun.slice(0, 10)}, in ${minutes} minutes. All of it is in [results.json](results.json).`,
    "",
    "Medians of the rounds, in brackets the smallest and the largest. Ours and the reference are measured in turns, and " +
    "the ratio is the median of the pairs' ratios. The last column is our program without a compiler for JavaScript " +
    "(`--jitless`, as hardened units run it) by the same with one.",
    "",
    ...size === "full" ? [] : ["Fewer and smaller things than the titles say.", ""],
    markdown(HEADS, cases.flatMap(rowsOf)),
    "",
    "![How far each figure is from its bar](bars.svg)",
    "",
    ...failures.length === 0 ? [] : ["## Not measured", "", ...failures, ""],
    ...growth.length === 0 ? [] : [
      "## Growth",
      "",
      "The exponent is that of a line through the last two decades in a log-log plot, beyond what the smallest number " +
      "costs; n log n has the one beside it there.",
      "",
      markdown(GROWTH_HEADS, growth),
      "",
      "![Cost by number](growth.svg)",
      "",
    ],
    "## How",
    "",
    ...cases.map(({ name, title, how, seconds, again }) => {
      const later = again === undefined
        ? ""
        : `, on ${again.begun.slice(0, 10)} at ${again.commit}`;
      return `- \`${name}\` (${seconds.toFixed(0)} s${later}), ${title}: ${how}.`;
    }),
    "",
    "## The machine",
    "",
    ...Object.entries(machine).map(([what, is]) => `- ${what}: ${is}`),
  ];
  return `${lines.join("\n")}\n`;
}
