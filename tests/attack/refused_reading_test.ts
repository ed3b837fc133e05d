/** The kernel refuses a system call while trees are read: whatever else is there is found, and in the end everything. */

import { intercept, opensDescriptor, ownDescriptors } from "./support/libc_hook.ts"; // before everything that opens the C library
// @ts-types="../support/assert.d.ts"
import { assertEquals } from "@std/assert";
import {
  type ByteString,
  display,
  fileName,
  fromBytes,
  fromText,
  nameOf,
  parentOf,
  type RelativePath,
  ROOT,
} from "../../ffi/byte_string.ts";
import { Directory } from "../../ffi/directory.ts";
import { ERRNO } from "../../ffi/errno.ts";
import { statusOf } from "../../ffi/file_status.ts";
import { FileIndex } from "../../src/gate/file_index.ts";
import { LargeDirectories } from "../../src/gate/large_directories.ts";
import { Readings, type Wanted } from "../../src/gate/readings.ts";
import { Replica } from "../../src/gate/replica.ts";
import { recordOf, UNKNOWN_ENTRY, withRecord } from "../../src/gate/replica_record.ts";
import { scratchDirectory } from "../support/scratch.ts";
import { waitFor } from "../support/wait.ts";

/** In a share, as the index knows them; those with `gone` in their names are not there any more. */
const KNOWN = ["a", "a/gone", "a/b", "a/b/gone", "c", "c/gone"];
/** In a share, and unknown. */
const NEW = ["a/b/new", "c/new"];

const WANTED: readonly Wanted[] = ["vanished", "changed", "everything"];

/** What a reading finds. */
const FOUND: Readonly<Record<Wanted, readonly string[]>> = {
  vanished: KNOWN.filter((path) => path.endsWith("gone")),
  changed: [...KNOWN, ...NEW].filter((path) => /gone|new/.test(path)),
  everything: [...KNOWN, ...NEW].filter((path) => /gone|new/.test(path)),
};

class Bench implements Disposable {
  readonly #path = scratchDirectory("read");
  readonly #index = FileIndex.open(":memory:", () => {});
  readonly share = new Replica("producer", fileName("ann"));
  readonly found = new Set<string>();
  readonly troubles: string[] = [];
  readonly readings: Readings;
  /** Directories that could not be read, still to be read again. */
  readonly broken: RelativePath[] = [];
  #stopped = false;

  constructor() {
    Deno.mkdirSync(`${this.#path}/a/b`, { recursive: true });
    Deno.mkdirSync(`${this.#path}/c`);
    for (const path of NEW) Deno.writeTextFileSync(`${this.#path}/${path}`, "");
    const root = Directory.openTrusted(fromText(this.#path));
    this.share.attach(root, this.#index.replicaId(this.share.name, statusOf(root).inode).id);
    for (const path of KNOWN) this.#know(path);
    this.readings = new Readings({
      shares: [this.share],
      tree: () => ({
        index: this.#index,
        replicas: [this.share],
        large: new LargeDirectories(),
        isIgnored: () => false,
        isIgnoredDirectory: () => false,
        lookAt: (path) => this.found.add(display(path)),
        mark: () => 0,
        onRenamed: () => {},
        isStopped: () => this.#stopped,
        onShortage: () => {},
        onFailure: (directory) => this.broken.push(directory),
        room: () => undefined,
      }),
      isStopped: () => this.#stopped,
      ready: () => undefined,
      beforeRead: () => {},
      onRead: () => {},
      onTrouble: (message) => this.troubles.push(message),
      onShortage: (error) => this.troubles.push(error.message),
    });
    this.readings.start();
  }

  #know(text: string): void {
    const path = fromText(text) as RelativePath;
    using parent = this.share.root?.openBeneath(parentOf(path));
    if (parent === undefined) throw new Error(`there is no directory for ${text}`);
    // Of one that is gone, any status will do.
    const status = parent.status(nameOf(path)) ?? { ...statusOf(parent), kind: "file" };
    const record = recordOf(this.share.id, status, "current", 1);
    this.#index.put(path, withRecord(UNKNOWN_ENTRY, record));
  }

  async read(what: Wanted): Promise<void> {
    this.readings.request(this.share, ROOT, what);
    await this.readings.ended();
  }

  get foundInOrder(): string[] {
    return [...this.found].sort();
  }

  [Symbol.dispose](): void {
    this.#stopped = true;
    this.share.detach();
    this.#index.close();
  }
}

for (const what of WANTED) {
  const expected = FOUND[what];
  Deno.test(`I3, I6: whatever call fails of a reading for "${what}", it is made again in place, or told; nothing stays open`, async () => {
    using bench = new Bench();
    const refuse = async (from: number, errno: number) => {
      const calls: string[] = [];
      intercept({
        before(name, args) {
          const mayFail = errno === ERRNO.EMFILE ? opensDescriptor(name, args) : name !== "close";
          return mayFail && calls.push(name) - 1 === from ? errno : undefined;
        },
      });
      bench.found.clear();
      bench.broken.length = 0;
      await bench.read(what).finally(() => intercept(undefined));
      return calls;
    };
    for (const errno of [ERRNO.EMFILE, ERRNO.EIO]) {
      const calls = await refuse(Infinity, errno);
      assertEquals(bench.foundInOrder, [...expected].sort());
      const before = ownDescriptors().size;
      for (const [from, call] of calls.entries()) {
        await refuse(from, errno);
        if (errno === ERRNO.EIO) assertEquals(bench.broken.length, 1, `${call} (${from})`);
        for (const directory of bench.broken.splice(0)) {
          bench.readings.request(bench.share, directory, what);
        }
        await waitFor("the reading", async () => {
          await bench.readings.ended();
          return bench.found.size >= expected.length;
        });
        assertEquals(bench.foundInOrder, [...expected].sort(), `${call} (${from})`);
        assertEquals(ownDescriptors().size, before, `${call} (${from})`);
      }
    }
    assertEquals(bench.troubles, []);
  });

  Deno.test(`I7: a directory that cannot be read keeps nobody from finding "${what}" in the others`, async () => {
    using bench = new Bench();
    for (const broken of ["a", "c"]) {
      bench.found.clear();
      intercept({
        before: (name, [, , path]) =>
          name === "openat2" && path instanceof Uint8Array && pathOf(path) === broken
            ? ERRNO.EIO
            : undefined,
      });
      await bench.read(what).finally(() => intercept(undefined));
      const elsewhere = expected.filter((path) => !path.startsWith(broken));
      assertEquals(bench.foundInOrder, [...elsewhere].sort());
    }
  });
}

function pathOf(terminated: Uint8Array): ByteString {
  return fromBytes(terminated, 0, terminated.indexOf(0));
}
