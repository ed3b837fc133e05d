/** Results in words: a line for the terminal, a row for the table. */

import type { Bar, Case, Figure, Growth } from "./case.ts";
import { exponent, median, ratios } from "./statistics.ts";

export interface CaseResult {
  readonly title: string;
  readonly how: string;
  readonly figures: readonly Figure[];
  /** Why it was not run, or how it failed. */
  readonly skipped?: string;
}

export type Outcome = "pass" | "miss" | "reported";

export function outcomeOf(figure: Figure): Outcome {
  const { ratio, plus = 0, most } = figure.bar;
  if (ratio === undefined && most === undefined) return "reported";
  const ours = median(figure.ours);
  const withinMost = most === undefined || ours <= most;
  const withinRatio = ratio === undefined ||
    (plus === 0 ? ratioOf(figure) <= ratio : ours <= ratio * median(figure.reference) + plus);
  return withinMost && withinRatio ? "pass" : "miss";
}

/** The median of the rounds' ratios: each pair ran side by side, so what else the machine did cancels out. */
export function ratioOf(figure: Figure): number {
  return median(ratios(figure.ours, figure.reference));
}

export function barInWords({ ratio, plus, most }: Bar, unit: string): string {
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

function spread(values: readonly number[]): string {
  return `${rounded(Math.min(...values))}–${rounded(Math.max(...values))}`;
}

/** `0.512 s (0.481–0.630)` */
export function measured(values: readonly number[], unit: string): string {
  if (values.length === 0) return "–";
  const own = `${rounded(median(values))} ${unit}`;
  return values.length === 1 ? own : `${own} (${spread(values)})`;
}

export function ratioInWords(figure: Figure): string {
  if (figure.reference.length === 0) return "–";
  const all = ratios(figure.ours, figure.reference);
  const own = `${rounded(ratioOf(figure))} ×`;
  return all.length === 1 ? own : `${own} (${spread(all)})`;
}

export function lineOf(figure: Figure): string {
  const { title, unit, ours, reference, bar } = figure;
  const against = reference.length === 0
    ? ""
    : `, reference ${measured(reference, unit)}: ${ratioInWords(figure)}`;
  return `${title === "" ? "" : `${title}: `}${measured(ours, unit)}${against}; ` +
    `bar ${barInWords(bar, unit)}: ${outcomeOf(figure)}`;
}

export function growthInWords({ title, of, unit, points }: Growth): string {
  const list = points.map(([n, cost]) => `${n}: ${rounded(cost)} ${unit}`).join(", ");
  return `${title}, by ${of}: ${list}; exponent at the end ${rounded(tailExponent(points))}`;
}

/** Of the last three points: what is constant at the beginning hides nothing there. */
export function tailExponent(points: Growth["points"]): number {
  return exponent(points.slice(-3));
}

export function markdownTable(results: readonly CaseResult[]): string {
  const rows = results.flatMap(({ title, figures, skipped }) =>
    skipped !== undefined
      ? [`| ${title} | | | | | not run: ${skipped} |`]
      : figures.map((figure) =>
        `| ${[title, figure.title].filter((part) => part !== "").join(", ")} ` +
        `| ${measured(figure.ours, figure.unit)} | ${measured(figure.reference, figure.unit)} ` +
        `| ${ratioInWords(figure)} | ${barInWords(figure.bar, figure.unit)} ` +
        `| ${outcomeOf(figure)} |`
      )
  );
  return [
    "| Case | Ours | Reference | Ratio | Bar | |",
    "| --- | --- | --- | --- | --- | --- |",
    ...rows,
  ].join("\n");
}

export function resultOf(
  { title, how }: Pick<Case, "title" | "how">,
  figures: readonly Figure[],
): CaseResult {
  return { title, how, figures };
}
