/** Installs what the tests need from Debian's archive, and says so. */

import { missingPackages, type Package } from "./prerequisites.ts";

/**
 * Installs what is missing of the list, or only what brings `programs`. Returns what could not be done, in
 * words, or `undefined`. `say` hears each step.
 */
export async function installMissing(
  say: (line: string) => void,
  programs?: readonly string[],
): Promise<string | undefined> {
  const wanted = () =>
    missingPackages().filter(({ program }) => programs?.includes(program) ?? true);
  const missing = wanted();
  if (missing.length === 0) return undefined;
  for (const { name, why } of missing) say(`missing: ${name} (${why})`);
  const byHand = () => `Install by hand: apt-get install ${names(wanted())}`;
  if (Deno.uid() !== 0) return `not root, so nothing can be installed. ${byHand()}`;
  say(`installing ${names(missing)} with apt-get …`);
  const failures = [await aptGet(["update", "-q"])];
  // One by one: what this release of Debian does not have must not stop the rest.
  for (const { name } of missing) {
    failures.push(await aptGet(["install", "-q", "-y", "--no-install-recommends", name]));
  }
  if (wanted().length > 0) {
    const reasons = failures.filter((failure) => failure !== undefined);
    return [...reasons, `not found after that: ${names(wanted())}`, byHand()].join("\n");
  }
  say("installed");
  return undefined;
}

function names(packages: readonly Package[]): string {
  return packages.map(({ name }) => name).join(" ");
}

async function aptGet(args: string[]): Promise<string | undefined> {
  try {
    const { code, stdout, stderr } = await new Deno.Command("apt-get", {
      args,
      env: { DEBIAN_FRONTEND: "noninteractive" },
      stdin: "null",
    }).output();
    if (code === 0) return undefined;
    const text = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
    const tail = text.trim().split("\n").slice(-5).join("\n");
    return `apt-get ${args.join(" ")} ended with ${code}; is there a network?\n${tail}`;
  } catch (error) {
    return `apt-get cannot be run: ${error instanceof Error ? error.message : error}`;
  }
}
