/** A gate's index, as its file on the disk. */

import { DatabaseSync } from "node:sqlite";

/**
 * From now on the machine has been started anew since the gate used the index at `path`, if a power failure has left one.
 */
export function startMachineAnew(path: string): void {
  using index = new DatabaseSync(path);
  const table = index.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'boot'").get();
  if (table === undefined) return;
  index.exec("UPDATE boot SET started_ms = started_ms - 60000 WHERE started_ms <> 0");
}

/** Brings all that is in the index at `path` to the disk, as SQLite does whenever its log is long. */
export function flushIndex(path: string): void {
  using index = new DatabaseSync(path);
  index.exec("PRAGMA synchronous = FULL; PRAGMA wal_checkpoint(TRUNCATE)");
}
