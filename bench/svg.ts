/** A small writer of SVG: what two plots need, in colours for light and for dark surroundings. */

export type Colour = "text" | "faint" | "grid" | "good" | "bad" | "first" | "second" | "third";

const LIGHT: Readonly<Record<Colour | "ground", string>> = {
  ground: "#ffffff",
  text: "#1f2328",
  faint: "#656d76",
  grid: "#d8dee4",
  good: "#1a7f37",
  bad: "#cf222e",
  first: "#0969da",
  second: "#bc4c00",
  third: "#8250df",
};

const DARK: typeof LIGHT = {
  ground: "#0d1117",
  text: "#e6edf3",
  faint: "#8d96a0",
  grid: "#30363d",
  good: "#3fb950",
  bad: "#f85149",
  first: "#58a6ff",
  second: "#f0883e",
  third: "#bc8cff",
};

/** Class `c-NAME` fills, `s-NAME` strokes. */
function rules(colours: typeof LIGHT): string {
  return Object.entries(colours)
    .map(([name, value]) => `.c-${name}{fill:${value}}.s-${name}{stroke:${value}}`)
    .join("");
}

export interface TextStyle {
  readonly colour?: Colour;
  readonly anchor?: "start" | "middle" | "end";
  readonly size?: number;
  readonly bold?: boolean;
}

export class Drawing {
  readonly #parts: string[] = [];

  constructor(readonly width: number, readonly height: number) {}

  line(x1: number, y1: number, x2: number, y2: number, colour: Colour, width = 1, dashed = false) {
    const dashes = dashed ? ' stroke-dasharray="4 3"' : "";
    this.#parts.push(
      `<line x1="${at(x1)}" y1="${at(y1)}" x2="${at(x2)}" y2="${at(y2)}" class="s-${colour}" ` +
        `stroke-width="${width}"${dashes}/>`,
    );
  }

  path(points: readonly (readonly [number, number])[], colour: Colour, dashed = false) {
    const steps = points.map(([x, y], i) => `${i === 0 ? "M" : "L"}${at(x)} ${at(y)}`).join("");
    const dashes = dashed ? ' stroke-dasharray="4 3"' : "";
    this.#parts.push(
      `<path d="${steps}" fill="none" class="s-${colour}" stroke-width="1.5"${dashes}/>`,
    );
  }

  /** Filled, or a ring where `hollow`. */
  dot(x: number, y: number, radius: number, colour: Colour, hollow = false) {
    const look = hollow ? `class="c-ground s-${colour}" stroke-width="1.5"` : `class="c-${colour}"`;
    this.#parts.push(`<circle cx="${at(x)}" cy="${at(y)}" r="${radius}" ${look}/>`);
  }

  text(x: number, y: number, text: string, style: TextStyle = {}) {
    const { colour = "text", anchor = "start", size = 12, bold = false } = style;
    const weight = bold ? ' font-weight="600"' : "";
    this.#parts.push(
      `<text x="${at(x)}" y="${at(y)}" class="c-${colour}" font-size="${size}" ` +
        `text-anchor="${anchor}"${weight}>${escaped(text)}</text>`,
    );
  }

  toString(): string {
    const { width, height } = this;
    return [
      `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" ` +
      `viewBox="0 0 ${width} ${height}" font-family="system-ui, sans-serif">`,
      `<style>${rules(LIGHT)}@media(prefers-color-scheme:dark){${rules(DARK)}}</style>`,
      `<rect width="${width}" height="${height}" class="c-ground"/>`,
      ...this.#parts,
      "</svg>\n",
    ].join("\n");
  }
}

/** A logarithmic scale from numbers to places. */
export function logScale(
  [low, high]: readonly [number, number],
  [from, to]: readonly [number, number],
): (value: number) => number {
  const span = Math.log(high) - Math.log(low);
  return (value) => from + (Math.log(value) - Math.log(low)) / span * (to - from);
}

/** The powers of ten that enclose the values, which are greater than 0. */
export function decadesAround(values: readonly number[]): [number, number] {
  const low = Math.floor(Math.log10(Math.min(...values)) + 1e-9);
  const high = Math.ceil(Math.log10(Math.max(...values)) - 1e-9);
  return [10 ** low, 10 ** Math.max(high, low + 1)];
}

function at(value: number): string {
  return String(Math.round(value * 10) / 10);
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
