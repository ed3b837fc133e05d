/** NixOS modules, evaluated: by NixOS itself where nixpkgs is found (NIX_PATH), or by the small module system. */

import { z } from "zod";
import { evaluate } from "../../../nix/units.ts";
import { run } from "../../support/command.ts";
import { missingProgram } from "../../support/prerequisites.ts";
import { scratchDirectory } from "../../support/scratch.ts";

const UNIT = z.object({
  unitConfig: z.record(z.string(), z.unknown()),
  serviceConfig: z.record(z.string(), z.unknown()),
  reloadTriggers: z.array(z.string()),
});

const SYSTEM = z.object({
  failures: z.array(z.string()),
  services: z.record(z.string(), UNIT),
  userServices: z.record(z.string(), UNIT),
  mounts: z.array(z.object({ what: z.string(), where: z.string(), options: z.string() })),
  tmpfiles: z.record(
    z.string(),
    z.record(
      z.string(),
      z.object({ d: z.object({ mode: z.string(), user: z.string(), group: z.string() }) }),
    ),
  ),
  clamav: z.object({ enable: z.boolean(), settings: z.record(z.string(), z.unknown()) }),
  fileSystems: z.record(z.string(), z.object({ device: z.string(), fsType: z.string() })),
  kernelModules: z.array(z.string()),
  channels: z.string().nullable(),
});

export type System = z.infer<typeof SYSTEM>;

export const nixpkgs: string | undefined = await findNixpkgs();

async function findNixpkgs(): Promise<string | undefined> {
  if (missingProgram("nix-instantiate") !== undefined) return undefined;
  const { code, stdout } = await run("nix-instantiate", ["--find-file", "nixpkgs"]);
  return code === 0 ? new TextDecoder().decode(stdout).trim() : undefined;
}

const EVALUATOR = new URL("./evaluate.nix", import.meta.url).pathname;

/** A machine whose configuration is `module`. Throws with what Nix says. */
export async function evaluated(module: string, by?: string): Promise<System> {
  const file = `${scratchDirectory("nixos")}/configuration.nix`;
  await Deno.writeTextFile(file, module);
  const args = ["--strict", "--json", EVALUATOR, "--arg", "module", file];
  return SYSTEM.parse(
    JSON.parse(await evaluate(by === undefined ? args : [...args, "--argstr", "nixpkgs", by])),
  );
}
