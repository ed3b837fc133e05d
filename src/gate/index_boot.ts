/**
 * In which boot of the machine, and in which file system, the index was written. The disk may get what is written there
 * before what it tells of, and then the power fails: an index of an earlier boot may be ahead of the disk. A snapshot (btrfs)
 * of a channel at work may have what the daemon did, and not yet what it noted before: the index of another file system may
 * be behind.
 */

import type { DatabaseSync, StatementSync } from "node:sqlite";
import { bootTimeMs } from "../../ffi/clock.ts";

/** A machine takes longer than this to start, and clocks are mostly set forth and back by less. */
const SAME_BOOT_MS = 1000;

/** Whether not everything that it tells of was known to be on the disk: the daemon did not come to its end. */
export function wasCutOff(database: DatabaseSync): boolean {
  return noteIn(database).startedMs !== 0;
}

/** Whether it was written in an earlier boot or elsewhere, and not everything that it tells of was on the disk. */
export function isOfAnotherBoot(database: DatabaseSync, filesystem: string): boolean {
  const note = noteIn(database);
  if (note.startedMs === 0) return false;
  const isOfThisBoot = Math.abs(note.startedMs - bootTimeMs()) <= SAME_BOOT_MS;
  return !isOfThisBoot || note.filesystem !== filesystem;
}

function noteIn(database: DatabaseSync) {
  const row = database.prepare("SELECT started_ms, filesystem FROM boot").get();
  return { startedMs: Number(row?.started_ms ?? 0), filesystem: row?.filesystem };
}

export function preparedNote(database: DatabaseSync): StatementSync {
  return database.prepare(
    "UPDATE boot SET started_ms = ?1, filesystem = ?3 " +
      "WHERE abs(started_ms - ?1) > ?2 OR filesystem <> ?3",
  );
}

/** Notes, with what `preparedNote` returned, that it is written in this boot, and where. */
export function noteThisBoot(note: StatementSync, filesystem: string): void {
  note.run(bootTimeMs(), SAME_BOOT_MS, filesystem);
}

export function noteOnDisk(database: DatabaseSync): void {
  database.prepare("UPDATE boot SET started_ms = 0").run();
}
