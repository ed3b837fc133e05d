/** Installs what the tests need from Debian's archive, and says so. */

import { missingPackages } from "./prerequisites.ts";

/** Installs missing packages; what could not be done, in words, or `undefined`. `say` hears each step. */
export async function installMissing(say: (line: string) => void): Promise<string | undefined> {
  const missing = missingPackages();
  if (missing.length === 0) return undefined;
  const names = missing.map(({ name }) => name);
  for (const { name, why } of missing) say(`missing: ${name} (${why})`);
  const byHand = `Install by hand: apt-get install ${names.join(" ")}`;
  if (Deno.uid() !== 0) return `not root, so nothing can be installed. ${byHand}`;
  say(`installing ${names.join(", ")} with apt-get …`);
  const commands = [
    ["update", "-q"],
    ["install", "-q", "-y", "--no-install-recommends", ...names],
  ];
  for (const args of commands) {
    const failure = await aptGet(args);
    if (failure !== undefined) return `${failure}\n${byHand}`;
  }
  const left = missingPackages();
  if (left.length > 0) return `installed, yet not found: ${left.map(({ name }) => name).join(" ")}`;
  say("installed");
  return undefined;
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
    return `apt-get ${args[0]} ended with ${code}; is there a network?\n${tail}`;
  } catch (error) {
    return `apt-get cannot be run: ${error instanceof Error ? error.message : error}`;
  }
}
