/**
 * `deno task units`: renders nix/units/ into nix/systemd/, for systems without NixOS. Needs
 * `nix-instantiate` (Debian: nix-bin).
 */

import { exitCode } from "../src/command_line/exit_codes.ts";

const UNITS = new URL("./units/plain.nix", import.meta.url).pathname;
export const UNIT_FOLDER: string = new URL("./systemd/", import.meta.url).pathname;

/** Unit files by their paths below nix/systemd/. Throws with what Nix says. */
export async function renderUnits(): Promise<ReadonlyMap<string, string>> {
  const text = await evaluate(["--strict", "--json", UNITS]);
  const files: unknown = JSON.parse(text);
  if (typeof files !== "object" || files === null) throw new Error("plain.nix: not a set of files");
  return new Map(
    Object.entries(files).map(([path, content]) => {
      if (typeof content !== "string") throw new Error(`plain.nix: ${path} is not a text`);
      return [path, content];
    }),
  );
}

/** `nix-instantiate --eval` with a store of its own, so that it needs no daemon and leaves nothing. */
export async function evaluate(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<string> {
  const folder = await Deno.makeTempDir({ prefix: "nix-" });
  try {
    const { success, stdout, stderr } = await new Deno.Command("nix-instantiate", {
      args: ["--eval", ...args],
      env: {
        NIX_STORE_DIR: `${folder}/store`,
        NIX_STATE_DIR: `${folder}/state`,
        NIX_LOG_DIR: `${folder}/log`,
        NIX_CONF_DIR: `${folder}/etc`,
        NIX_REMOTE: "",
        ...env,
      },
      stdin: "null",
    }).output();
    if (success) return new TextDecoder().decode(stdout);
    throw new Error(new TextDecoder().decode(stderr).trim());
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

if (import.meta.main) {
  try {
    for (const [path, content] of await renderUnits()) {
      const file = `${UNIT_FOLDER}${path}`;
      await Deno.mkdir(file.slice(0, file.lastIndexOf("/")), { recursive: true });
      await Deno.writeTextFile(file, content);
    }
  } catch (error) {
    const reason = error instanceof Deno.errors.NotFound
      ? "nix-instantiate is not there; on Debian: apt-get install nix-bin"
      : error instanceof Error
      ? error.message
      : String(error);
    Deno.stderr.writeSync(new TextEncoder().encode(`units: ${reason}\n`));
    Deno.exit(exitCode("failure"));
  }
}
