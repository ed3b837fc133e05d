/**
 * The programs and their units, installed as docs/debian.md says, for a nested systemd. In place of each
 * binary stands a script that runs the program with `deno run` and the permissions that the binary
 * would hold.
 */

import { permissionFlags, permissionSetOf, PROGRAMS, v8FlagsOf } from "../../nix/programs.ts";
import { UNIT_FOLDER } from "../../nix/units.ts";
import { must } from "./command.ts";
import { REPOSITORY } from "./gate.ts";
import type { Files, NestedSystemdOptions } from "./nested_systemd.ts";

const HOME = "/usr/local/lib/virtiofs-gate";
const UNITS = "/etc/systemd/system";
const PROBE = "tests/packaging/sandbox_probe.ts";

/** Runs a module in HOME with Deno, without ever looking for anything outside. */
function script(flags: readonly string[], module: string): string {
  return `#!/usr/bin/sh
export DENO_DIR=${HOME}/cache DENO_NO_UPDATE_CHECK=1
exec ${HOME}/deno run --quiet --cached-only ${flags.join(" ")} ${HOME}/repository/${module} "$@"
`;
}

/** Drop-ins by unit and name, beside the units themselves. */
export type DropIns = Readonly<Record<string, Readonly<Record<string, string>>>>;

/** What `NestedSystemd.start` needs for it. */
export async function installation(dropIns: DropIns = {}): Promise<NestedSystemdOptions> {
  const files: Record<string, Files[string]> = {
    "/usr/local/bin/sandbox-probe": {
      // It must run in sandboxes that let nobody compile JavaScript, too.
      text: script(["-A", "--v8-flags=--jitless"], PROBE),
      mode: 0o755,
    },
  };
  for (const program of PROGRAMS) {
    const { name, binary, entryPoint } = program;
    const flags = permissionFlags(permissionSetOf(name));
    const v8Flags = v8FlagsOf(program);
    if (v8Flags.length > 0) flags.push(`--v8-flags=${v8Flags.join(",")}`);
    files[`/usr/local/bin/${binary}`] = { text: script(flags, entryPoint), mode: 0o755 };
  }
  for await (const { name, isFile } of Deno.readDir(UNIT_FOLDER)) {
    if (!isFile) continue;
    const text = await Deno.readTextFile(`${UNIT_FOLDER}${name}`);
    files[`${UNITS}/${name}`] = { text };
    files[`${UNITS}/probe-${name}`] = { text: probe(text) };
  }
  for (const [unit, texts] of Object.entries(dropIns)) {
    for (const [name, text] of Object.entries(texts)) {
      files[`${UNITS}/${unit}.d/${name}`] = { text };
      files[`${UNITS}/probe-${unit}.d/${name}`] = { text: probe(text) };
    }
  }
  const modules = [...PROGRAMS.map(({ entryPoint }) => entryPoint), PROBE];
  await must(Deno.execPath(), ["cache", "--quiet", ...modules], { cwd: REPOSITORY });
  return {
    files,
    mounts: [
      { from: REPOSITORY, to: `${HOME}/repository` },
      { from: await Deno.realPath(Deno.execPath()), to: `${HOME}/deno` },
      { from: `${await denoCache()}/npm`, to: `${HOME}/cache/npm` },
    ],
  };
}

/** The same sandbox around the probe in place of the daemon. */
function probe(unit: string): string {
  return unit
    .replace("Type=notify", "Type=oneshot")
    .replaceAll(/^(Restart|Watchdog)\w*=.*\n/gm, "")
    .replaceAll(/^ExecStart=.*$/gm, "ExecStart=/usr/local/bin/sandbox-probe $PROBE_DIRECTORY");
}

async function denoCache(): Promise<string> {
  const output = await must(Deno.execPath(), ["info", "--json"]);
  const { denoDir } = JSON.parse(new TextDecoder().decode(output)) as { readonly denoDir: string };
  return denoDir;
}
