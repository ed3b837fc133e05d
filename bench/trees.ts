/** Trees of a given size. */

import { CannotRun } from "./case.ts";

const BELOW_EACH = 100;
const WATCH_LIMIT = "/proc/sys/fs/inotify/max_user_watches";

/** Makes `count` directories below `top`, a hundred in each of the upper ones. */
export async function makeDirectories(top: string, count: number): Promise<void> {
  for (let made = 0, group = 0; made < count; group++) {
    await Deno.mkdir(`${top}/${group}`);
    made++;
    for (let i = 0; i < BELOW_EACH && made < count; i++, made++) {
      Deno.mkdirSync(`${top}/${group}/${i}`);
    }
  }
}

/** How many directories the kernel lets one user watch. */
export function watchLimit(): number {
  return Number(Deno.readTextFileSync(WATCH_LIMIT));
}

/** Throws CannotRun where the kernel lets nobody watch so many directories. */
export function needWatches(count: number): void {
  const limit = watchLimit();
  if (limit < count) throw new CannotRun(`fs.inotify.max_user_watches is ${limit}`);
}
