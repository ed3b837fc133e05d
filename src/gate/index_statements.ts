/** What the index asks of its database again and again. */

import type { DatabaseSync, StatementSync } from "node:sqlite";
import { preparedNote } from "./index_boot.ts";
import { PAGE_NAMES } from "./known_directory.ts";

/**
 * Many entries of a directory in one row: rows, and blobs of their own, cost more than what is in them. No name
 * holds a slash; text of any bytes stays as it is through the casts (sqlite.org/lang_expr.html#castexpr).
 */
const PAGE_OF_DIRECTORY = `
  SELECT group_concat(name, '/') AS names,
    CAST(group_concat(CAST(packed AS TEXT), '') AS BLOB) AS packed
  FROM (
    SELECT name, packed FROM entry WHERE directory = ? AND name > ?
    ORDER BY name LIMIT ${PAGE_NAMES}
  )
`;

/** "0" follows upon "/". */
const DIRECTORY_IN = `
  SELECT directory FROM entry
  WHERE directory = ?1 OR (directory > ?1 || '/' AND directory < ?1 || '0')
  LIMIT 1
`;
const MOVE_SOME = `
  UPDATE OR REPLACE entry SET directory = ?2
  WHERE directory = ?1 AND name IN (SELECT name FROM entry WHERE directory = ?1 LIMIT 500)
`;

/** Prepared: errors of `exec` do not tell whether the database is damaged. */
export interface IndexStatements {
  readonly begin: StatementSync;
  readonly forgetLeftEmpty: StatementSync;
  readonly noteBoot: StatementSync;
  readonly commit: StatementSync;
  readonly get: StatementSync;
  readonly put: StatementSync;
  readonly delete: StatementSync;
  readonly page: StatementSync;
  readonly held: StatementSync;
  readonly directoryIn: StatementSync;
  readonly moveSome: StatementSync;
}

export function prepareStatements(database: DatabaseSync): IndexStatements {
  return {
    begin: database.prepare("BEGIN"),
    forgetLeftEmpty: database.prepare("UPDATE replica SET left_empty = 0 WHERE left_empty <> 0"),
    noteBoot: preparedNote(database),
    commit: database.prepare("COMMIT"),
    get: database.prepare("SELECT packed FROM entry WHERE directory = ? AND name = ?"),
    put: database.prepare("INSERT OR REPLACE INTO entry VALUES (?, ?, ?, ?)"),
    delete: database.prepare("DELETE FROM entry WHERE directory = ? AND name = ?"),
    page: database.prepare(PAGE_OF_DIRECTORY),
    held: database.prepare(
      "SELECT directory, name FROM entry " +
        "WHERE held = ? AND held <> 0 AND (directory, name) > (?, ?) " +
        "ORDER BY directory, name LIMIT ?",
    ),
    directoryIn: database.prepare(DIRECTORY_IN),
    moveSome: database.prepare(MOVE_SOME),
  };
}
