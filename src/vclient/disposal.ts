/** What becomes of infected files: left where they are, deleted, or put into quarantine. */

import { display } from "../../ffi/byte_string.ts";
import type { Directory } from "../../ffi/directory.ts";
import type { Quarantine } from "./quarantine.ts";
import type { Finding } from "./quarantine_description.ts";
import { type OnStray, remove, type ScannedFile } from "./removal.ts";

export type Disposed =
  /** It is gone from its place. */
  | { readonly kind: "gone"; readonly consequence: string }
  | { readonly kind: "left"; readonly consequence: string }
  /** Its name stands for something else by now. */
  | { readonly kind: "changed" };

export interface Disposal {
  /** Throws SystemError where it could not be done; the file is in its place then. */
  dispose(scanned: ScannedFile, finding: Finding): Promise<Disposed> | Disposed;
  /** Whether files can be on the way out when the client is killed. */
  readonly takesAway: boolean;
  /** Whether infected files are kept in `directory`: they are not found there again. */
  keepsIn(directory: Directory): boolean;
}

const CHANGED: Disposed = { kind: "changed" };

export const leaving: Disposal = {
  takesAway: false,
  dispose: () => ({ kind: "left", consequence: "left in place (--action log)" }),
  keepsIn: () => false,
};

export function deleting(onStray: OnStray): Disposal {
  return {
    takesAway: true,
    dispose: (scanned) =>
      remove(scanned, onStray) === "changed" ? CHANGED : { kind: "gone", consequence: "deleted" },
    keepsIn: () => false,
  };
}

export function quarantining(quarantine: Quarantine): Disposal {
  return {
    takesAway: true,
    async dispose(scanned, finding) {
      const kept = await quarantine.keep(scanned, finding);
      if (kept.kind === "changed") return CHANGED;
      return { kind: "gone", consequence: `now ${display(kept.name)} in quarantine` };
    },
    keepsIn: (directory) => quarantine.is(directory),
  };
}
