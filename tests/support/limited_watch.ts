/**
 * Run in a user namespace of its own, whose limits for inotify can be set without anybody else's being touched:
 * `limited_watch.ts LIMIT` watches a tree below the limit (`watches` or `instances`) and, in the end, above it.
 * Prints what it saw as JSON.
 */

import { waitFor } from "./wait.ts";
import { WatchedTree } from "./watched_tree.ts";

export interface LimitedWatch {
  readonly told: readonly string[];
  readonly troubles: readonly string[];
  readonly watchedBelow: number;
  readonly watchedAbove: number;
}

const DIRECTORIES = 30;

if (import.meta.main) {
  const [limit] = Deno.args;
  const set = (value: number) =>
    Deno.writeTextFileSync(`/proc/sys/user/max_inotify_${limit}`, `${value}`);
  set(limit === "watches" ? 20 : 0);
  const intervals = { missingRootMs: 50, presentRootMs: 50, pollMs: 50 };
  await using tree = await WatchedTree.start({ intervals });
  for (let i = 0; i < DIRECTORIES; i++) tree.mkdir(`${i}`);
  for (let i = 0; i < DIRECTORIES; i++) tree.write(`${i}/below`);
  await waitFor("everything to be known", () => tree.differences().length === 0);
  const watchedBelow = tree.watcher.watched;
  set(1000);
  await waitFor("everything to be watched", () => tree.watcher.watched === DIRECTORIES + 1);
  await tree.quiet();
  const told = tree.take();
  for (let i = 0; i < DIRECTORIES; i++) tree.write(`${i}/above`);
  await tree.hears(...Array.from({ length: DIRECTORIES }, (_, i) => `changed ${i}/above`));
  const report: LimitedWatch = {
    told,
    troubles: tree.troubles,
    watchedBelow,
    watchedAbove: tree.watcher.watched,
  };
  await Deno.stdout.write(new TextEncoder().encode(JSON.stringify(report)));
}
