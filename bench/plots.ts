/** The two pictures of RESULTS.md. */

import type { Figure, Growth } from "./case.ts";
import { outcomeOf, rounded, verdictOn } from "./report.ts";
import type { CaseResult } from "./results.ts";
import { fitGrowth, median, ratios } from "./statistics.ts";
import { type Colour, decadesAround, Drawing, logScale } from "./svg.ts";

const ROW = 26;
const WIDTH = 1000;
const LEFT = 470;
const RIGHT = 150;
const TOP = 64;

/** What each round had of its bar: 1 is just reached. */
function shares({ bar, reference }: Figure, values: readonly number[]): number[] {
  return values.map((value, i) => {
    const beside = reference[i] ?? NaN;
    const { ratio, plus = 0, most } = bar;
    const parts = [];
    if (ratio !== undefined) parts.push(value / (ratio * beside + plus));
    if (most !== undefined) parts.push(value / most);
    return Math.max(...parts);
  });
}

interface Row {
  readonly label: string;
  readonly figure: Figure;
  readonly ours: readonly number[];
  readonly jitless: readonly number[];
}

/** Figures that have a bar and a size; no scans too many is not a point in a logarithmic plot. */
function rowsOf(cases: readonly CaseResult[]): Row[] {
  const measurable = (value: number) => Number.isFinite(value) && value > 0;
  return cases.flatMap(({ title, figures }) =>
    figures.map((figure) => ({
      label: [title, figure.title].filter((part) => part !== "").join(": "),
      figure,
      ours: shares(figure, figure.ours).filter(measurable),
      jitless: shares(figure, figure.jitless).filter(measurable),
    }))
  ).filter(({ ours }) => ours.length > 0);
}

function shortened(text: string, most: number): string {
  return text.length <= most ? text : `${text.slice(0, most - 1)}…`;
}

/** Each figure's rounds as a share of its bar. */
export function drawBars(cases: readonly CaseResult[]): string {
  const rows = rowsOf(cases);
  const drawing = new Drawing(WIDTH, TOP + rows.length * ROW + 40);
  const bottom = TOP + rows.length * ROW;
  const [low, high] = decadesAround([
    0.5,
    2,
    ...rows.flatMap((row) => [...row.ours, ...row.jitless]),
  ]);
  const x = logScale([low, high], [LEFT, WIDTH - RIGHT]);
  drawing.text(16, 24, "Each figure as a share of its bar", { size: 16, bold: true });
  drawing.text(
    16,
    44,
    "dots: rounds · line: from the smallest to the largest · large dot: median · ring: median without JIT",
    { colour: "faint" },
  );
  drawing.text(WIDTH - RIGHT + 12, TOP - 8, "ours / reference", { colour: "faint", size: 11 });
  for (let decade = low; decade <= high * 1.01; decade *= 10) {
    for (const value of decade < high ? [decade, 2 * decade, 5 * decade] : [decade]) {
      drawing.line(x(value), TOP - 4, x(value), bottom, "grid");
      const label = value < 1 ? String(Number(value.toPrecision(1))) : value.toFixed(0);
      drawing.text(x(value), bottom + 16, label, { anchor: "middle", colour: "faint", size: 11 });
    }
  }
  drawing.line(x(1), TOP - 4, x(1), bottom, "text", 2);
  drawing.text(x(1), bottom + 32, "the bar", { anchor: "middle", size: 11 });
  for (const [i, { label, figure, ours, jitless }] of rows.entries()) {
    const y = TOP + i * ROW + ROW / 2;
    const colour: Colour = outcomeOf(figure) === "reached" ? "good" : "bad";
    drawing.text(LEFT - 12, y + 4, shortened(label, 72), { anchor: "end" });
    drawing.line(x(Math.min(...ours)), y, x(Math.max(...ours)), y, colour, 1.5);
    for (const share of ours) drawing.dot(x(share), y, 2, colour);
    if (jitless.length > 0) drawing.dot(x(median(jitless)), y, 4, "faint", true);
    drawing.dot(x(median(ours)), y, 5, colour);
    drawing.text(WIDTH - RIGHT + 12, y + 4, ratioText(figure), { colour });
  }
  return drawing.toString();
}

function ratioText(figure: Figure): string {
  const { ours, reference, unit } = figure;
  if (reference.length === 0) return `${rounded(median(ours))} ${unit}`;
  return `${rounded(median(ratios(ours, reference)))} ×`;
}

const PANEL = { width: 480, height: 270, left: 62, right: 16, top: 52, bottom: 40 };
const COLUMNS = 2;

/** Cost by number, each in a panel of its own, with what n log n would be. */
export function drawGrowth(cases: readonly CaseResult[]): string {
  const all = cases.flatMap(({ growth }) => growth).map((growth) => ({
    ...growth,
    points: growth.points.filter(([, cost]) => cost > 0),
  })).filter(({ points }) => points.length > 1);
  const lines = Math.ceil(all.length / COLUMNS);
  const drawing = new Drawing(COLUMNS * PANEL.width + 20, lines * PANEL.height + 10);
  for (const [i, growth] of all.entries()) {
    const left = 10 + (i % COLUMNS) * PANEL.width;
    drawPanel(drawing, growth, left, Math.floor(i / COLUMNS) * PANEL.height);
  }
  return drawing.toString();
}

function drawPanel(drawing: Drawing, growth: Growth, left: number, top: number): void {
  const { title, of, unit, points } = growth;
  const numbers = decadesAround(points.map(([number]) => number));
  const costs = decadesAround(points.map(([, cost]) => cost));
  const edge = {
    left: left + PANEL.left,
    right: left + PANEL.width - PANEL.right,
    top: top + PANEL.top,
    bottom: top + PANEL.height - PANEL.bottom,
  };
  const x = logScale(numbers, [edge.left, edge.right]);
  const y = logScale(costs, [edge.bottom, edge.top]);
  const { exponent, faster } = fitGrowth(points);
  drawing.text(edge.left, top + 22, title, { bold: true, size: 13 });
  drawing.text(
    edge.left,
    top + 40,
    `exponent ${rounded(exponent)}: ${verdictOn(growth)}`,
    { colour: faster ? "bad" : "good" },
  );
  for (let value = numbers[0]; value <= numbers[1] * 1.01; value *= 10) {
    drawing.line(x(value), edge.top, x(value), edge.bottom, "grid");
    drawing.text(x(value), edge.bottom + 15, inThousands(value), {
      anchor: "middle",
      colour: "faint",
      size: 11,
    });
  }
  for (let value = costs[0]; value <= costs[1] * 1.01; value *= 10) {
    drawing.line(edge.left, y(value), edge.right, y(value), "grid");
    drawing.text(edge.left - 6, y(value) + 4, `${Number(value.toPrecision(1))} ${unit}`, {
      anchor: "end",
      colour: "faint",
      size: 11,
    });
  }
  drawing.text(edge.right, edge.bottom + 30, of, { anchor: "end", colour: "faint", size: 11 });
  drawing.path(guideOf(growth, costs).map(([n, cost]) => [x(n), y(cost)] as const), "faint", true);
  drawing.path(points.map(([n, cost]) => [x(n), y(cost)] as const), "first");
  for (const [n, cost] of points) drawing.dot(x(n), y(cost), 3, "first");
}

/** The curve of n log n that ends in the last point, as far as it is within the plot. */
function guideOf({ points }: Growth, [low]: readonly [number, number]): [number, number][] {
  const [most = NaN, cost = NaN] = points.at(-1) ?? [];
  const law = (n: number) => n * Math.log(n + 1);
  return points
    .map(([n]): [number, number] => [n, cost * law(n) / law(most)])
    .filter(([, value]) => value >= low);
}

function inThousands(value: number): string {
  return value < 1000 ? String(value) : `${value / 1000}k`;
}
