/** What must hold once guests are quiet and all daemons run. */

import { EICAR } from "../support/eicar.ts";
import { filesThatHold } from "../support/tree.ts";
import { waitFor } from "../support/wait.ts";
import type { World } from "../support/world.ts";
import { type Guests, isMalwareOf } from "./guests.ts";
import type { InfectedAction } from "./soak.ts";

export async function check(world: World, guests: Guests, action: InfectedAction): Promise<void> {
  const { only } = world;
  guests.removeObstacles();
  await only.quiet();
  guests.removeObstacles();
  if (action === "log") await checkAuthors(world);
  else {
    await waitFor(
      "infected files are dealt with",
      async () => (await only.infectedElsewhere()).length === 0,
    );
  }
  await only.settled();
  let lost: string[] = [];
  await waitFor(
    () => `not in export: ${lost.slice(0, 10).join("; ")}`,
    () => {
      // Told each time: what a full disk kept from travelling is tried again when it has room, and may lose only then.
      guests.forgive(world.gate.recentLog);
      const exported = contents(only.export.path);
      lost = [...guests.survivors.contents()].filter(([, content]) => !exported.has(content))
        .map(([path, content]) =>
          `the last version of ${path} (${content.slice(0, 20).trim()}), which is in ` +
          (only.producers.filter((name) => contents(only.share(name).path).has(content)).join() ||
            "no share") +
          `; the export has ${headAt(`${only.export.path}/${path}`)} there`
        );
      return lost.length === 0;
    },
  );
}

/** Malware stays with its author, and nothing else differs; then its author removes it, and nothing differs. */
async function checkAuthors({ only }: World): Promise<void> {
  let infected: string[] = [];
  let differences: string[] = [];
  await waitFor(
    () => `more than what is infected differs: ${differences.slice(0, 10).join("; ")}`,
    async () => {
      infected = await filesThatHold(EICAR, [`${only.basePath}/share`, only.export.path]);
      const excused = infected.map((path) => path.split("/share/")[1]?.replace(/^[^/]*\//, ""));
      differences = (await only.differences()).filter((line) =>
        !excused.some((path) => path !== undefined && line.startsWith(`${path}: `))
      );
      return differences.length === 0;
    },
  );
  for (const path of infected) {
    const share = path.split("/share/")[1]?.split("/")[0];
    if (share === undefined || !isMalwareOf(share, Deno.readTextFileSync(path))) {
      throw new Error(`${path} is somebody else's malware`);
    }
    Deno.removeSync(path);
  }
}

function contents(directory: string, found = new Set<string>()): Set<string> {
  for (const entry of Deno.readDirSync(directory)) {
    const path = `${directory}/${entry.name}`;
    if (entry.isDirectory) contents(path, found);
    else if (entry.isFile) found.add(Deno.readTextFileSync(path));
  }
  return found;
}

/** In words. */
function headAt(path: string): string {
  try {
    const text = Deno.readTextFileSync(path);
    return text === "" ? "an empty file" : text.slice(0, 20).trim();
  } catch (error) {
    if (error instanceof Error) return error.name;
    throw error;
  }
}
