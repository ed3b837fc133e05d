/** The kernel that the watcher's model is tried against tells what the real one tells. */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { type FileName, fileName, fromText } from "../../ffi/byte_string.ts";
import { Directory } from "../../ffi/directory.ts";
import { SystemError } from "../../ffi/errno.ts";
import { Inotify, type InotifyEvent } from "../../ffi/inotify.ts";
import { RENAME_EXCHANGE, RENAME_REPLACE } from "../../ffi/platform.ts";
import { MASK } from "../../src/watching/watch_set.ts";
import { scratchDirectory } from "../support/scratch.ts";
import { type Call, type Inode, SimulatedKernel } from "../support/simulated_kernel.ts";
import { NIGHTLY } from "../support/size.ts";

type Path = readonly FileName[];

interface Act {
  readonly kind:
    | "make directory"
    | "create"
    | "write"
    | "change mode"
    | "remove"
    | "rename"
    | "exchange"
    | "hold"
    | "release";
  readonly path: Path;
  readonly other: Path;
}

class Simulated {
  readonly kernel = new SimulatedKernel();
  #held: Inode[] = [];

  act(act: Act): void {
    for (const _ of this.#call(act) ?? []);
  }

  #call({ kind, path, other }: Act): Call | undefined {
    const { kernel } = this;
    if (kind === "release") {
      this.#held.splice(0).forEach((inode) => kernel.release(inode));
      return undefined;
    }
    const inode = this.#find(path);
    const name = path.at(-1);
    const parent = this.#find(path.slice(0, -1));
    if (name === undefined || parent === undefined) return undefined;
    if (kind === "make directory") return kernel.makeDirectory(parent, name);
    if (kind === "create") return kernel.create(parent, name);
    if (inode === undefined) return undefined;
    if (kind === "write") return kernel.write(inode);
    if (kind === "change mode") return kernel.changeMode(inode);
    if (kind === "remove") {
      return inode.kind === "file" ? kernel.unlink(inode) : kernel.removeDirectory(inode);
    }
    if (kind === "hold") {
      if (inode.kind === "file") return undefined;
      kernel.hold(inode);
      this.#held.push(inode);
      return undefined;
    }
    const [target, targetName] = [this.#find(other.slice(0, -1)), other.at(-1)];
    if (target === undefined || targetName === undefined) return undefined;
    if (kind === "rename") return kernel.rename(inode, target, targetName);
    const found = this.#find(other);
    return found && kernel.exchange(inode, found);
  }

  #find(path: Path): Inode | undefined {
    let inode: Inode | undefined = this.kernel.top;
    for (const name of path) inode = inode?.entries.get(name);
    return inode;
  }

  /** All directories, by path. */
  directories(): string[] {
    const found = new Map([["", this.kernel.top]]);
    for (const [path, inode] of found) {
      for (const [name, child] of inode.entries) {
        if (child.kind === "directory") found.set(`${path}/${name}`, child);
      }
    }
    for (const inode of found.values()) {
      using directory = this.kernel.open(inode);
      this.kernel.addWatch(directory);
    }
    return [...found.keys()];
  }
}

class Real implements Disposable {
  readonly base = scratchDirectory("kernel", "memory");
  readonly inotify = new Inotify();
  #held: Deno.FsFile[] = [];

  act(act: Act): void {
    try {
      this.#act(act);
    } catch (error) {
      // It did not fit what was there: nothing has happened.
      const isRefused = error instanceof SystemError || (error instanceof Error && "code" in error);
      if (!isRefused) throw error;
    }
  }

  #act({ kind, path, other }: Act): void {
    const text = [this.base, ...path].join("/");
    switch (kind) {
      case "make directory":
        return Deno.mkdirSync(text);
      case "create":
        return Deno.openSync(text, { createNew: true, write: true }).close();
      case "write": {
        using file = Deno.openSync(text, { write: true });
        file.writeSync(new Uint8Array(1));
        return;
      }
      case "change mode":
        return Deno.chmodSync(text, 0o700);
      case "remove":
        return Deno.removeSync(text);
      case "hold":
        if (Deno.statSync(text).isDirectory) this.#held.push(Deno.openSync(text));
        return;
      case "release":
        return this.#held.splice(0).forEach((file) => file.close());
      case "rename":
      case "exchange": {
        const [from, to] = [path, other].map((path) => path.slice(0, -1).join("/"));
        using source = Directory.openTrusted(fromText(`${this.base}/${from}`));
        using target = Directory.openTrusted(fromText(`${this.base}/${to}`));
        const [name, newName] = [path.at(-1), other.at(-1)];
        assert(name !== undefined && newName !== undefined);
        const flags = kind === "exchange" ? RENAME_EXCHANGE : RENAME_REPLACE;
        return source.rename(name, target, newName, flags);
      }
    }
  }

  watch(directories: readonly string[]): void {
    for (const path of directories) {
      using directory = Directory.openTrusted(fromText(`${this.base}${path}`));
      this.inotify.addWatch(directory, MASK);
    }
  }

  [Symbol.dispose](): void {
    this.#held.forEach((file) => file.close());
    this.inotify.close();
    Deno.removeSync(this.base, { recursive: true });
  }
}

/** Cookies are numbers of the kernel's own: what counts is which belong together. */
function comparable(events: readonly InotifyEvent[]): unknown[] {
  const cookies = [...new Set(events.map(({ cookie }) => cookie))];
  return events.map((event) => ({ ...event, cookie: cookies.indexOf(event.cookie) }));
}

const path = fc.array(fc.constantFrom(...["a", "b"].map(fileName)), {
  minLength: 1,
  maxLength: 3,
});
const making = fc.record({
  kind: fc.constantFrom("make directory" as const, "create" as const),
  path,
  other: path,
});
const act: fc.Arbitrary<Act> = fc.oneof(
  making,
  fc.record({
    kind: fc.constantFrom(
      "write" as const,
      "change mode" as const,
      "remove" as const,
      "hold" as const,
      "release" as const,
    ),
    path,
    other: path,
  }),
  fc.record({ kind: fc.constantFrom("rename" as const, "exchange" as const), path, other: path }),
);

Deno.test("the simulated kernel tells what the real one tells", () => {
  const before = fc.array(making, { maxLength: 20, size: "max" });
  const acts = fc.array(act, { maxLength: 60, size: "max" });
  fc.assert(
    fc.property(before, acts, (before, acts) => {
      using real = new Real();
      const simulated = new Simulated();
      for (const act of before) for (const kernel of [real, simulated]) kernel.act(act);
      real.watch(simulated.directories());
      for (const act of acts) for (const kernel of [real, simulated]) kernel.act(act);
      assertEquals(comparable(simulated.kernel.read()), comparable(real.inotify.read()));
    }),
    { numRuns: NIGHTLY ? 10_000 : 150 },
  );
});
