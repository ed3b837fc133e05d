/** What takes the place of an index that cannot be used. */

import type { DatabaseSync } from "node:sqlite";
import { messageOf, SystemError } from "../../ffi/errno.ts";
import { IN_MEMORY, openDatabase, setAside } from "./index_database.ts";

/** A new index at `path`, in place of one that cannot be used; in memory, if there can be none. */
export function begun(
  path: string,
  why: unknown,
  onTrouble: (message: string) => void,
): DatabaseSync {
  const unusable = `the index ${path} cannot be used (${messageOf(why)})`;
  try {
    setAside(path);
    const database = openDatabase(path);
    onTrouble(`${unusable}: starting a new one; shares are compared by content once`);
    return database;
  } catch (error) {
    onTrouble(unusable);
    return withoutFile(path, error, onTrouble);
  }
}

/** In memory from now on; the next start is not to know what was known until here. */
export function givenUp(
  path: string,
  why: unknown,
  onTrouble: (message: string) => void,
): DatabaseSync {
  try {
    setAside(path);
  } catch (error) {
    if (!(error instanceof SystemError)) throw error; // it is found damaged again, then
  }
  return withoutFile(path, why, onTrouble);
}

function withoutFile(
  path: string,
  why: unknown,
  onTrouble: (message: string) => void,
): DatabaseSync {
  // Deno's own words advise to grant what the daemon has given up.
  const reason = why instanceof Deno.errors.NotCapable
    ? "only a start can make one"
    : messageOf(why);
  onTrouble(
    `no index can be written at ${path} (${reason}): going on without; ` +
      `deletions made while the daemon is down will not be known`,
  );
  return openDatabase(IN_MEMORY);
}
