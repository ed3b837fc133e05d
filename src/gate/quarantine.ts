/** The quarantine: infected files as new inodes nobody can read, each with a JSON file that tells of it. */

import {
  display,
  type FileName,
  fileName,
  nameOf,
  type RelativePath,
} from "../../ffi/byte_string.ts";
import type { Descriptor } from "../../ffi/descriptor.ts";
import type { Directory } from "../../ffi/directory.ts";
import { isErrno } from "../../ffi/errno.ts";
import { setOwnerAndMode, writeAll } from "../../ffi/file_content.ts";
import type { FileStatus } from "../../ffi/file_status.ts";
import type { Stager } from "./snapshot.ts";

export interface InfectedFile {
  readonly channel: string;
  readonly share: FileName;
  readonly path: RelativePath;
  readonly signature: string;
  readonly source: FileStatus;
  readonly staged: Descriptor;
  readonly size: number;
}

/**
 * Keeps a clone of the snapshot that was found infected: mode 000, root:root, under a name that no other has.
 * Returns the name. Throws SystemError; then nothing was kept.
 */
export async function quarantine(
  directory: Directory,
  stager: Stager,
  file: InfectedFile,
): Promise<FileName> {
  const attributes = { uid: 0, gid: 0, mode: 0, mtimeNs: file.source.mtimeNs };
  using prepared = await stager.prepare(file.staged, file.size, attributes);
  const time = new Date();
  for (let attempt = 0;; attempt++) {
    const name = quarantineName(file, time, attempt);
    const about = fileName(`${name}.json`);
    let description: Descriptor;
    try {
      description = directory.createFile(about, 0o600);
    } catch (error) {
      if (isErrno(error, "EEXIST") && attempt < 1000) continue;
      throw error;
    }
    using _ = description;
    try {
      writeAll(description, new TextEncoder().encode(describe(file, time)));
      setOwnerAndMode(description, 0, 0, 0o400);
      directory.linkUnnamed(prepared, name);
      return name;
    } catch (error) {
      directory.removeFile(about);
      if (isErrno(error, "EEXIST") && attempt < 1000) continue;
      throw error;
    }
  }
}

/** `20261121T104955-alice-report.pdf`, in harmless characters, short enough for `.json` to follow. */
function quarantineName(file: InfectedFile, time: Date, attempt: number): FileName {
  const stamp = time.toISOString().replaceAll(/[-:]/g, "").slice(0, 15);
  const harmless = (text: string) => text.replaceAll(/[^A-Za-z0-9._-]/g, "_");
  const original = harmless(display(nameOf(file.path))).slice(0, 120);
  const share = harmless(display(file.share)).slice(0, 60);
  const again = attempt === 0 ? "" : `-${attempt + 1}`;
  return fileName(`${stamp}${again}-${share}-${original}`);
}

function describe(file: InfectedFile, time: Date): string {
  const { source } = file;
  return JSON.stringify(
    {
      channel: file.channel,
      share: display(file.share),
      path: display(file.path),
      pathBytes: Array.from(file.path, (unit) => unit.charCodeAt(0).toString(16).padStart(2, "0"))
        .join(""),
      signature: file.signature,
      time: time.toISOString(),
      size: file.size,
      uid: source.uid,
      gid: source.gid,
      mode: source.mode.toString(8).padStart(4, "0"),
      mtimeNs: String(source.mtimeNs), // a guest may set times that no calendar has
    },
    null,
    2,
  ) + "\n";
}
