/** The part of `@std/cli/parse-args` that is used here. The package on npm has no types of its own. */

export interface ParseOptions {
  readonly boolean?: readonly string[];
  readonly string?: readonly string[];
  readonly collect?: readonly string[];
  readonly alias?: Readonly<Record<string, string>>;
  /** Called for what is not declared; `key` is missing for a bare argument. `false` drops it. */
  readonly unknown?: (argument: string, key?: string, value?: unknown) => boolean;
}

/** `_` holds the bare arguments, and everything behind `--`. */
export type ParsedArguments = Record<string, unknown> & { readonly _: readonly string[] };

export function parseArgs(args: readonly string[], options: ParseOptions): ParsedArguments;
