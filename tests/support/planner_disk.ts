/** One path in several shares and the export, as a file system has it: names, and the inodes behind them. */

import type { FileStatus } from "../../ffi/file_status.ts";
import type { ReplicaRole, Seen } from "../../src/gate/planning/situation.ts";
import type { ReplicaId } from "../../src/gate/replica_record.ts";
import { plainFile } from "./file_status.ts";

interface File {
  readonly kind: "file";
  status: FileStatus;
  content: string;
}

interface Directory {
  readonly kind: "directory";
  status: FileStatus;
  /** Something is in it that does not travel. */
  readonly isFull: boolean;
}

interface Obstacle {
  readonly kind: "obstacle";
  status: FileStatus;
}

/** Several names of a file share one. */
export type Inode = File | Directory | Obstacle;

/** What fails there for a while. */
export type Hindrance = "read" | "put" | "change";

/** The path's name in one replica. */
export class Place {
  isAway = false;
  /** Something that is no directory stands where one above belongs. */
  isBlocked = false;
  inode: Inode | undefined;
  readonly hindrances = new Set<Hindrance>();

  constructor(public id: ReplicaId, public role: ReplicaRole) {}

  get seen(): Seen {
    if (this.inode === undefined) return { kind: "absent" };
    return { kind: this.inode.kind, status: this.inode.status };
  }

  get file(): File | undefined {
    return this.inode?.kind === "file" ? this.inode : undefined;
  }

  get directory(): Directory | undefined {
    return this.inode?.kind === "directory" ? this.inode : undefined;
  }

  /** Whether something new may take the place of what is there. */
  get isWritable(): boolean {
    if (this.isBlocked || this.hindrances.has("put")) return false;
    return this.inode === undefined || !this.hindrances.has("change");
  }
}

export class Disk {
  #clock = 1n;
  #inode = 100;

  write(place: Place, content: string, mtimeNs: bigint, mode = 0o644): void {
    this.remove(place);
    const status = this.#status("file", mode, content.length, mtimeNs);
    place.inode = { kind: "file", status, content };
  }

  makeDirectory(place: Place, { isFull = false, mode = 0o755 } = {}): void {
    this.remove(place);
    place.inode = { kind: "directory", status: this.#status("directory", mode), isFull };
  }

  makeObstacle(place: Place): void {
    this.remove(place);
    place.inode = { kind: "obstacle", status: this.#status("other", 0o777) };
  }

  /** The file's other names tell of it. */
  remove(place: Place): void {
    const { inode } = place;
    place.inode = undefined;
    if (inode !== undefined) this.#change(inode, { links: inode.status.links - 1 });
  }

  link(file: File, to: Place): void {
    this.remove(to);
    to.inode = file;
    this.#change(file, { links: file.status.links + 1 });
  }

  overwrite(file: File, content: string, mtimeNs: bigint): void {
    file.content = content;
    this.#change(file, { size: content.length, mtimeNs });
  }

  changeMode(inode: Inode, mode: number): void {
    this.#change(inode, { mode });
  }

  #change(inode: Inode, change: Partial<FileStatus>): void {
    inode.status = { ...inode.status, ...change, ctimeNs: this.#clock++ };
  }

  #status(kind: FileStatus["kind"], mode: number, size = 0, mtimeNs = 0n): FileStatus {
    const [inode, ctimeNs] = [this.#inode++, this.#clock++];
    return plainFile({ kind, mode, inode, size, mtimeNs, ctimeNs });
  }
}
