/** Few, robust figures of a few measurements. */

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

/** Ours by the reference's, each with the one that was measured beside it. */
export function ratios(ours: readonly number[], reference: readonly number[]): number[] {
  return ours.slice(0, reference.length).map((value, i) => value / (reference[i] ?? NaN));
}

/** The slope in a log-log plot by least squares: 1 is linear, 2 is quadratic. */
export function exponent(points: readonly (readonly [number, number])[]): number {
  const logs = points.map(([x, y]) => [Math.log(x), Math.log(y)] as const);
  const mean = (axis: 0 | 1) => logs.reduce((sum, point) => sum + point[axis], 0) / logs.length;
  const [mx, my] = [mean(0), mean(1)];
  const covariance = logs.reduce((sum, [x, y]) => sum + (x - mx) * (y - my), 0);
  const variance = logs.reduce((sum, [x]) => sum + (x - mx) ** 2, 0);
  return covariance / variance;
}
