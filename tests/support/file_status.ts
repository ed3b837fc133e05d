/** A file's status as the kernel could tell it, for tests that need no file. */

import type { FileStatus } from "../../ffi/file_status.ts";

export function plainFile(differences: Partial<FileStatus>): FileStatus {
  return {
    kind: "file",
    inode: 1,
    links: 1,
    device: 1,
    mountId: 1,
    blocks: 8,
    size: 1,
    mode: 0o644,
    uid: 0,
    gid: 0,
    mtimeNs: 1n,
    ctimeNs: 1n,
    ...differences,
  };
}
