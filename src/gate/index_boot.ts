/**
 * In which boot of the machine the index was written. The disk may get what is written there before what it tells of, and
 * then the power fails: an index of an earlier boot may be ahead of the disk.
 */

import type { DatabaseSync, StatementSync } from "node:sqlite";
import { bootTimeMs } from "../../ffi/clock.ts";

/** A machine takes longer than this to start, and clocks are mostly set forth and back by less. */
const SAME_BOOT_MS = 1000;

/** Whether not everything that it tells of was known to be on the disk: the daemon did not come to its end. */
export function wasCutOff(database: DatabaseSync): boolean {
  return startedMs(database) !== 0;
}

/** Whether it was written in an earlier boot, and not everything that it tells of was on the disk. */
export function isOfAnotherBoot(database: DatabaseSync): boolean {
  return wasCutOff(database) && Math.abs(startedMs(database) - bootTimeMs()) > SAME_BOOT_MS;
}

function startedMs(database: DatabaseSync): number {
  const row = database.prepare("SELECT started_ms FROM boot").get();
  return Number(row?.started_ms ?? 0);
}

export function preparedNote(database: DatabaseSync): StatementSync {
  return database.prepare("UPDATE boot SET started_ms = ?1 WHERE abs(started_ms - ?1) > ?2");
}

/** Notes, with what `preparedNote` returned, that it is written in this boot. */
export function noteThisBoot(note: StatementSync): void {
  note.run(bootTimeMs(), SAME_BOOT_MS);
}

export function noteOnDisk(database: DatabaseSync): void {
  database.prepare("UPDATE boot SET started_ms = 0").run();
}
