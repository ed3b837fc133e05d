/** Few, robust figures of a few measurements. */

type Points = readonly (readonly [number, number])[];

/** The value in the middle; NaN of nothing. */
export function median(values: readonly number[]): number {
  return percentile(values, 50);
}

/** The nearest-rank percentile, 0 to 100; NaN of nothing. */
export function percentile(values: readonly number[], percent: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const rank = Math.ceil(percent / 100 * sorted.length);
  return sorted[Math.min(sorted.length, Math.max(rank, 1)) - 1] ?? NaN;
}

/** Ours by the other's, each with the one that was measured beside it. */
export function ratios(ours: readonly number[], other: readonly number[]): number[] {
  return ours.slice(0, other.length).map((value, i) => value / (other[i] ?? NaN));
}

/** The slope in a log-log plot by least squares: 1 is linear, 2 is quadratic. */
export function exponent(points: Points): number {
  const logs = points.map(([x, y]) => [Math.log(x), Math.log(y)] as const);
  const mean = (axis: 0 | 1) => logs.reduce((sum, point) => sum + point[axis], 0) / logs.length;
  const [mx, my] = [mean(0), mean(1)];
  const covariance = logs.reduce((sum, [x, y]) => sum + (x - mx) * (y - my), 0);
  const variance = logs.reduce((sum, [x]) => sum + (x - mx) ** 2, 0);
  return covariance / variance;
}

export interface GrowthFit {
  /** Of the last two decades, beyond what the smallest number costs; 0 where that is nothing, NaN of few points. */
  readonly exponent: number;
  /** What n log n would have there. */
  readonly logarithmic: number;
  readonly faster: boolean;
}

/** What measurements of one machine differ by, caches and collected garbage included: 1.6 times in two decades. */
const TOLERANCE = 0.1;
const DECADES = 100;
/** For a line that is one. */
const LEAST_POINTS = 3;

/** How fast a cost grows at its end, where constants hide it least. */
export function fitGrowth(points: Points): GrowthFit {
  const [least = 0, base = 0] = points[0] ?? [];
  const most = points.at(-1)?.[0] ?? 0;
  const tail = points
    .filter(([number]) => number > least && number >= most / DECADES)
    .map(([number, cost]) => [number, cost - base] as const);
  if (tail.length < LEAST_POINTS) return { exponent: NaN, logarithmic: NaN, faster: false };
  const logarithmic = exponent(tail.map(([number]) => [number, number * Math.log(number)]));
  if (tail.some(([, cost]) => cost <= 0)) return { exponent: 0, logarithmic, faster: false };
  const slope = exponent(tail);
  return { exponent: slope, logarithmic, faster: slope > logarithmic + TOLERANCE };
}
