/**
 * What a program's command line consists of, declared once: the parser, the checks, the help and
 * the types of the parsed values all follow from a definition.
 *
 * An option's key is its name in camel case: `clamdSocket` in the definition and in the result is
 * `--clamd-socket` on the command line.
 */

interface Documented {
  /** One or two sentences in lower case, without a full stop at the end. */
  readonly help: string;
  /** One letter; `h` and `V` are taken. */
  readonly short?: string;
}

interface Required {
  readonly required: true;
  readonly default?: never;
}
interface Defaulted<V> {
  readonly required?: never;
  readonly default: V;
}
interface Absent {
  readonly required?: never;
  readonly default?: never;
}
type Presence<V> = Required | Defaulted<V> | Absent;

type Valued<V> =
  & Documented
  & {
    /** What stands for the value in the help: `FILE`, `N`. */
    readonly value: string;
  }
  & (
    | ({ readonly repeatable?: never } & Presence<V>)
    | {
      readonly repeatable: true;
    } & Presence<readonly V[]>
  );

interface Range {
  /** Inclusive. */
  readonly min: number;
  /** Inclusive. */
  readonly max: number;
}

export type FlagOption = Documented & { readonly kind: "flag" };
/** Any text but the empty one. */
export type TextOption = Valued<string> & { readonly kind: "text" };
/** The path of a Unix socket. */
export type SocketOption = Valued<string> & { readonly kind: "socket" };
/** A whole number. */
export type NumberOption = Valued<number> & Range & { readonly kind: "number" };
/** A number of bytes, also written with K, M, G or T (powers of 1024). */
export type BytesOption = Valued<number> & Range & { readonly kind: "bytes" };
/** One of a few words. */
export type ChoiceOption = Valued<string> & {
  readonly kind: "choice";
  readonly choices: readonly string[];
};

export type ValuedOption = TextOption | SocketOption | NumberOption | BytesOption | ChoiceOption;
export type Option = FlagOption | ValuedOption;
export type Options = Readonly<Record<string, Option>>;

export interface Command<O extends Options = Options> {
  /** What it does, in one line. */
  readonly summary: string;
  readonly options: O;
}

/** A program without sub-commands. */
export interface Program<O extends Options = Options> extends Command<O> {
  /** The name of its binary. */
  readonly name: string;
}

/** A program whose first argument names what to do. */
export interface CommandProgram<
  C extends Readonly<Record<string, Command>> = Readonly<Record<string, Command>>,
> {
  readonly name: string;
  readonly summary: string;
  readonly commands: C;
}

type Single<O extends Option> = O extends { readonly kind: "flag" } ? boolean
  : O extends { readonly kind: "number" | "bytes" } ? number
  : O extends { readonly kind: "choice"; readonly choices: readonly (infer Choice)[] } ? Choice
  : string;

type ValueOf<O extends Option> = O extends { readonly repeatable: true }
  ? O extends { readonly required: true } ? readonly [Single<O>, ...Single<O>[]]
  : readonly Single<O>[]
  : O extends
    { readonly kind: "flag" } | { readonly required: true } | { readonly default: unknown }
    ? Single<O>
  : Single<O> | undefined;

/** The parsed options of a definition. */
export type OptionValues<O extends Options> = { readonly [Key in keyof O]: ValueOf<O[Key]> };

/** The chosen sub-command and its options. */
export type Invocation<P extends CommandProgram> = {
  [Name in keyof P["commands"]]: {
    readonly command: Name;
    readonly options: OptionValues<P["commands"][Name]["options"]>;
  };
}[keyof P["commands"]];

/** Keeps the literal types of a definition. */
export function defineProgram<const P extends Program | CommandProgram>(program: P): P {
  return program;
}

/** `maxFileSize` → `--max-file-size`. */
export function longName(key: string): string {
  return `--${key.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}
