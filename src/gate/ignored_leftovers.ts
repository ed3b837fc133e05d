/**
 * What the export still holds of names that are ignored since it was published. Nobody's event takes it away any more, so it
 * would keep what is above it from being removed or replaced, for ever.
 */

import { join, nameOf, parentOf, type RelativePath } from "../../ffi/byte_string.ts";
import { Pace } from "./pace.ts";
import type { Publisher } from "./publisher.ts";
import type { Replica } from "./replica.ts";

/** In one go: others want to be looked at. */
const MOST_AT_ONCE = 1_000;

export interface LeftoverParts {
  readonly publisher: Publisher;
  isIgnored(path: RelativePath): boolean;
  isIgnoredDirectory(path: RelativePath): boolean;
}

type Task = { readonly enter: RelativePath } | { readonly remove: RelativePath };

/** Removes such things from `directory`, many at a time. `false` if there are none. Throws SystemError. */
export async function removeLeftovers(
  parts: LeftoverParts,
  exported: Replica,
  directory: RelativePath,
): Promise<boolean> {
  const pace = new Pace();
  const tasks: Task[] = [{ enter: directory }];
  let removed = 0;
  // Not by recursion: a tree is as deep as the guest liked that it came from.
  for (let task = tasks.pop(); task && removed < MOST_AT_ONCE; task = tasks.pop()) {
    if ("remove" in task) {
      using parent = exported.root?.openBeneath(parentOf(task.remove));
      if (parent?.removeDirectory(nameOf(task.remove))) removed++;
      continue;
    }
    using held = exported.root?.openBeneath(task.enter);
    for (const { name } of held?.entries() ?? []) {
      if (held === undefined || removed >= MOST_AT_ONCE) break;
      if (pace.isDue()) await pace.rest();
      const path = join(task.enter, name);
      const view = exported.viewIn(held, path);
      if (view.seen.kind === "directory") {
        if (parts.isIgnoredDirectory(path)) tasks.push({ remove: path }, { enter: path });
      } else if (view.seen.kind !== "absent" && parts.isIgnored(path)) {
        if (parts.publisher.remove(view, path, view.seen.status, true) === "done") removed++;
      }
    }
  }
  return removed > 0;
}
