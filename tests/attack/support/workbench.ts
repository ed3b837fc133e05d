/**
 * The gate's parts on a real file system in this process, without watchers, timers and a scanner's delays: what
 * happens to one path, call by call, so that a test can act between any two system calls, or let one be the last.
 *
 * Import `libc_hook.ts` before this.
 */

import {
  asRelativePath,
  fileName,
  fromText,
  type RelativePath,
  ROOT,
} from "../../../ffi/byte_string.ts";
import type { Descriptor } from "../../../ffi/descriptor.ts";
import { readSmall } from "../../../ffi/file_content.ts";
import { closingFiles } from "../../../ffi/file_descriptor.ts";
import { statusOf } from "../../../ffi/file_status.ts";
import { libc } from "../../../ffi/libc.ts";
import { nextTurn } from "../../../ffi/reactor.ts";
import type { InfectedAction } from "../../../src/gate/config/channel_config.ts";
import { EarlySnapshot } from "../../../src/gate/early_snapshot.ts";
import { FileIndex } from "../../../src/gate/file_index.ts";
import { Judge } from "../../../src/gate/judge.ts";
import { LargeDirectories } from "../../../src/gate/large_directories.ts";
import { type Layout, openLayout, openQuarantine, openShare } from "../../../src/gate/layout.ts";
import { Publisher } from "../../../src/gate/publisher.ts";
import { Reconciler } from "../../../src/gate/reconciler.ts";
import { Recovery } from "../../../src/gate/recovery.ts";
import { EXPORT, Replica } from "../../../src/gate/replica.ts";
import { Stager } from "../../../src/gate/snapshot.ts";
import { readTree } from "../../../src/gate/tree_reader.ts";
import { UnarrivedFiles } from "../../../src/gate/unarrived_files.ts";
import type { Scanner, Verdict } from "../../../src/scanning/scanner.ts";
import { EICAR } from "../../support/eicar.ts";
import { ownDescriptors } from "./libc_hook.ts";

export const SHARES = ["ann", "bob"] as const;
export type ShareName = (typeof SHARES)[number];

/** How often everything is looked at before a tree that never comes to rest counts as a fault. */
const MOST_ROUNDS = 60;
/** More than the daemon tries anything before it decides otherwise. */
const MOST_ATTEMPTS = 8;
const MOST_CONTENT = 1024 * 1024;

/** Finds EICAR at the start of a file, as clamd does in the other tests. */
class ContentScanner implements Scanner {
  readonly concurrency = 1;
  readonly isDown = false;

  scan(file: Descriptor): Promise<Verdict> {
    const content = readSmall(file, MOST_CONTENT);
    const isInfected = EICAR.every((byte, at) => content[at] === byte);
    return Promise.resolve(
      isInfected ? { kind: "infected", signature: "Test.Eicar" } : { kind: "clean" },
    );
  }

  check() {
    return Promise.resolve({ available: true, version: "test" } as const);
  }

  onRecovery(): void {}
  close(): void {}
}

/** The parts of a channel with two producers, wired as `Channel` does, on the directory `basePath`. */
export class Workbench {
  readonly troubles: string[] = [];
  /** Whether the channel is said to be reading everything. */
  isBeingRead = false;
  readonly #layout: Layout;
  readonly #index: FileIndex;
  readonly #recovery: Recovery;
  readonly #early: EarlySnapshot;
  readonly #unarrived = new UnarrivedFiles();
  readonly #reconciler: Reconciler;
  readonly #replicas: Replica[];
  #lookAt = new Set<RelativePath>();

  constructor(readonly basePath: string, action: InfectedAction = "delete") {
    const onTrouble = (message: string) => void this.troubles.push(message);
    this.#layout = openLayout(fromText(basePath), []);
    this.#index = FileIndex.open(this.#layout.indexPath, onTrouble);
    this.#replicas = [
      ...SHARES.map((name) => new Replica("producer", fileName(name))),
      new Replica("export", EXPORT),
    ];
    this.#recovery = new Recovery(
      this.#layout.recovery,
      (name) => this.#replicas.find((replica) => replica.name === name)?.root,
      onTrouble,
    );
    const stager = new Stager(this.#layout.staging);
    const judge = new Judge({
      channel: "docs",
      config: {
        enable: true,
        infectedAction: action,
        permissive: false,
        ignoreFilePatterns: [],
        ignorePathPatterns: [],
        oversize: "hold",
        maxFileSize: undefined,
      },
      scanner: new ContentScanner(),
      stager,
      openQuarantine: () => openQuarantine(this.#layout),
      onMalware: () => {},
      onScanError: () => {},
      onTrouble,
    });
    this.#early = new EarlySnapshot(stager, (snapshot) => {
      if (judge.scanAhead(snapshot)) stager.copyAhead(snapshot, SHARES.length);
    });
    this.#reconciler = new Reconciler({
      replicas: this.#replicas,
      former: new Set(),
      index: this.#index,
      stager,
      early: this.#early,
      unarrived: this.#unarrived,
      publisher: new Publisher(
        this.#layout.staging,
        stager,
        this.#recovery,
        (path, model, made) => {
          this.#index.noteMadeDirectory(path, model, made);
          this.#lookAt.add(path);
        },
      ),
      judge,
      conflictCopies: true,
      moves: () => undefined,
      catchUp: () => true,
      mayBeMet: () => false,
      isIgnored: () => false,
      isIgnoredDirectory: () => false,
      onSeen: () => {},
      orphansMayGo: () => true,
      isPending: () => false,
      areTreesRead: () => true,
      isStillToBeRead: () => this.isBeingRead,
      lookAt: (path) => void this.#lookAt.add(path),
      onHeld: () => {},
      reread: () => {},
      onChanged: () => {},
      onPublished: () => {},
      onTrouble,
      onConflict: () => {},
      onCovered: () => undefined,
      onShortage: (error) => onTrouble(error.message),
    });
    for (const replica of this.#replicas) {
      const root = replica.role === "export"
        ? this.#layout.export.duplicate()
        : openShare(this.#layout, replica.producer);
      if (root === undefined) throw new Error(`${replica.name} is not there`);
      replica.attach(root, this.#index.replicaId(replica.name, statusOf(root).inode).id);
    }
    this.#recovery.recover();
  }

  /** Makes the shares of a fresh channel. */
  static prepare(basePath: string): void {
    for (const share of SHARES) Deno.mkdirSync(`${basePath}/share/${share}`, { recursive: true });
  }

  /** One look at a path, with all that follows from it, after the first share's watcher has told that it is near. */
  async run(path: string): Promise<void> {
    const [first] = this.#replicas;
    if (first !== undefined) await this.#early.take(first, relative(path));
    try {
      await this.#reconciler.run(relative(path), false);
    } finally {
      this.#early.drop();
    }
  }

  /** Makes what the index knows outlast a crash. */
  commit(): void {
    this.#index.commit();
  }

  /** Reads everything again and again until nothing changes any more; then nothing lingers either. */
  async settle(): Promise<void> {
    let before = "";
    let calm = 0;
    for (let round = 0; round < MOST_ROUNDS; round++) {
      let patience = 1;
      for (const path of await this.#differing()) {
        const rest = await this.#reconciler.run(path, true);
        if (rest.kind === "later") patience = MOST_ATTEMPTS;
      }
      this.#recovery.sweep(Infinity, true);
      this.#index.commit();
      const now = fingerprint(this.basePath);
      calm = now === before ? calm + 1 : 0;
      if (calm >= patience) return;
      before = now;
    }
    throw new Error(
      `it never comes to rest; the last troubles: ${this.troubles.slice(-5).join("; ")}`,
    );
  }

  async #differing(): Promise<Set<RelativePath>> {
    const found = this.#lookAt;
    this.#lookAt = new Set();
    await readTree({
      index: this.#index,
      replicas: this.#replicas,
      large: new LargeDirectories(),
      isIgnored: () => false,
      isIgnoredDirectory: () => false,
      lookAt: (path) => void found.add(path),
      mark: () => 0,
      onRenamed: () => {},
      isStopped: () => false,
      onShortage: (error) => void this.troubles.push(error.message),
      onFailure: (_, error) => void this.troubles.push(error.message),
      room: () => Promise.resolve(),
    }, ROOT);
    return found;
  }

  /** As if the process had ended: what is open is closed, and nothing is finished or flushed. */
  async abandon(): Promise<void> {
    this.#index.close();
    // Closed later by their numbers, which may be another file's by then.
    while (closingFiles() > 0) await nextTurn();
    for (const fd of descriptorsBelow(this.basePath)) libc.close(fd);
  }

  close(): void {
    this.#recovery.close();
    this.#index.close();
    for (const replica of this.#replicas) replica.detach();
    this.#unarrived.clear();
    this.#layout[Symbol.dispose]();
  }
}

function relative(path: string): RelativePath {
  const checked = asRelativePath(fromText(path));
  if (checked === undefined) throw new RangeError(`not a relative path: ${path}`);
  return checked;
}

/** Everything of the shares and the export that a change would change. */
function fingerprint(basePath: string): string {
  const lines: string[] = [];
  const visit = (path: string) => {
    for (const { name, isDirectory } of Deno.readDirSync(path)) {
      const { ino, size, mode, mtime } = Deno.lstatSync(`${path}/${name}`);
      lines.push(`${path}/${name} ${ino} ${size} ${mode} ${mtime?.getTime()}`);
      if (isDirectory) visit(`${path}/${name}`);
    }
  };
  visit(`${basePath}/share`);
  visit(`${basePath}/export`);
  return lines.sort().join("\n");
}

/** The daemon's own descriptors on anything below `path`. */
function descriptorsBelow(path: string): number[] {
  return [...ownDescriptors()].filter((fd) =>
    Deno.readLinkSync(`/proc/self/fd/${fd}`).startsWith(`${path}/`)
  );
}
