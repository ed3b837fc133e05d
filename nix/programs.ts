/** The programs of the project: where they stand, what their binaries are called, what they may do. */

import denoConfiguration from "../deno.json" with { type: "json" };
import table from "./programs.json" with { type: "json" };

/** The folder of a program in src/, which is also the name of its permission set in deno.json. */
export type ProgramName = keyof typeof table;

export interface Program {
  readonly name: ProgramName;
  readonly binary: string;
  /** Without a compiler for JavaScript, so that no memory is ever writable and executable. */
  readonly jitless: boolean;
  /** Relative to the repository. */
  readonly entryPoint: string;
}

export const PROGRAM_NAMES = ["gate", "vproxy", "vclient", "notify"] as const satisfies readonly (
  ProgramName
)[];

export const PROGRAMS: readonly Program[] = PROGRAM_NAMES.map((name) => ({
  name,
  ...table[name],
  entryPoint: `src/${name}/main.ts`,
}));

/** What a program's task sets for V8, such as limits of memory; as a binary it has the same. */
export function v8FlagsOf({ name, jitless }: Program): readonly string[] {
  const [, flags] = / --v8-flags=(\S+)/.exec(denoConfiguration.tasks[name]) ?? [];
  return [...(jitless ? ["--jitless"] : []), ...(flags?.split(",") ?? [])];
}

/** Everything of a kind, or what is listed. What is not named is denied. */
export type PermissionSet = Readonly<Record<string, boolean | readonly string[]>>;

/** The permissions that deno.json declares for a program; throws where it declares none. */
export function permissionSetOf(program: ProgramName): PermissionSet {
  const sets: Readonly<Record<string, unknown>> = denoConfiguration.permissions;
  const set = sets[program];
  if (!isPermissionSet(set)) {
    throw new Error(
      `deno.json: permissions.${program} must name for each kind true, false or a list of texts`,
    );
  }
  return set;
}

function isPermissionSet(value: unknown): value is PermissionSet {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  return Object.values(value).every((granted) =>
    typeof granted === "boolean" ||
    (Array.isArray(granted) && granted.every((one) => typeof one === "string"))
  );
}

/** The same with one C library as the only one that may be opened. */
export function withLibc(set: PermissionSet, libc: string): PermissionSet {
  return { ...set, ffi: [libc] };
}

/** `--allow-…` options for `deno run` and `deno compile`; never a prompt, never code from elsewhere. */
export function permissionFlags(set: PermissionSet): string[] {
  const granted = Object.entries(set).flatMap(([kind, what]) => {
    if (what === false || (what !== true && what.length === 0)) return [];
    if (what === true) return [`--allow-${kind}`];
    const comma = what.find((one) => one.includes(","));
    if (comma !== undefined) throw new Error(`permissions.${kind}: "${comma}" holds a comma`);
    return [`--allow-${kind}=${what.join(",")}`];
  });
  return [...granted, "--deny-import", "--no-prompt"];
}
