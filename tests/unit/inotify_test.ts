/** inotify(7) as the kernel has it: what is told of what, and how events are laid out. */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals, assertNotEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import {
  type ByteString,
  type FileName,
  fileName,
  fromBytes,
  fromText,
} from "../../ffi/byte_string.ts";
import { Directory } from "../../ffi/directory.ts";
import { writeAll } from "../../ffi/file_content.ts";
import { IN, Inotify, type InotifyEvent, parseEvents } from "../../ffi/inotify.ts";
import { scratchDirectory } from "../support/scratch.ts";

const MASK = IN.CLOSE_WRITE | IN.MOVED_FROM | IN.MOVED_TO | IN.CREATE | IN.DELETE | IN.ATTRIB |
  IN.MODIFY | IN.ONLYDIR;

class Place implements Disposable {
  readonly path = scratchDirectory("inotify", "memory");
  readonly directory = Directory.openTrusted(fromText(this.path));
  readonly inotify = new Inotify();

  watch(directory = this.directory, mask: number = MASK): number {
    const watch = this.inotify.addWatch(directory, mask);
    assert(typeof watch === "number");
    return watch;
  }

  /** What happened, in words. */
  events(): string[] {
    return this.inotify.read().map(describe);
  }

  [Symbol.dispose](): void {
    this.inotify.close();
    this.directory.close();
  }
}

function describe({ mask, name }: InotifyEvent): string {
  const bits = Object.entries(IN).filter(([, bit]) => mask & bit).map(([word]) => word);
  return [...bits, name].join(" ").trimEnd();
}

Deno.test("nothing to read is no event", () => {
  using place = new Place();
  place.watch();
  assertEquals(place.events(), []);
});

Deno.test("I3: a reader knows whether events are left behind", () => {
  using place = new Place();
  place.watch();
  for (let i = 0; i < 1000; i++) Deno.writeTextFileSync(`${place.path}/${i}`.padEnd(200, "x"), "");
  let events = place.inotify.read().length;
  assert(place.inotify.mayHaveMore, "the buffer was full");
  while (place.inotify.mayHaveMore) events += place.inotify.read().length;
  assertEquals(place.inotify.read(), []);
  assert(events >= 2000, `${events} events`); // created and closed
});

Deno.test("each kind of change is told by its own event", () => {
  using place = new Place();
  place.watch();
  const name = fileName("file");
  place.directory.createFile(name, 0o600).close();
  assertEquals(place.events(), ["CREATE file", "CLOSE_WRITE file"]);
  Deno.writeTextFileSync(`${place.path}/file`, "x");
  assertEquals(place.events(), ["MODIFY file", "CLOSE_WRITE file"]);
  Deno.chmodSync(`${place.path}/file`, 0o644);
  assertEquals(place.events(), ["ATTRIB file"]);
  Deno.truncateSync(`${place.path}/file`, 0);
  assertEquals(place.events().includes("MODIFY file"), true);
  Deno.linkSync(`${place.path}/file`, `${place.path}/link`);
  assertEquals(place.events().at(-1), "CREATE link");
  place.directory.rename(name, place.directory, fileName("renamed"));
  assertEquals(place.events(), ["MOVED_FROM file", "MOVED_TO renamed"]);
  place.directory.removeFile(fileName("renamed"));
  assertEquals(place.events(), ["DELETE renamed"]);
  place.directory.makeDirectory(fileName("directory"), 0o700);
  assertEquals(place.events(), ["CREATE ISDIR directory"]);
  using unnamed = place.directory.createUnnamed();
  writeAll(unnamed, new Uint8Array(1));
  place.events();
  place.directory.linkUnnamed(unnamed, fileName("published"));
  assert(place.events().includes("CREATE published"));
});

Deno.test("both halves of a rename have a cookie of their own", () => {
  using place = new Place();
  place.watch();
  for (const name of ["a", "b"]) place.directory.createFile(fileName(name), 0o600).close();
  place.inotify.read();
  for (const name of ["a", "b"]) {
    place.directory.rename(fileName(name), place.directory, fileName(`${name}2`));
  }
  const cookies = place.inotify.read().map(({ cookie }) => cookie);
  assertEquals(cookies.length, 4);
  assertEquals(cookies[0], cookies[1]);
  assertEquals(cookies[2], cookies[3]);
  assertNotEquals(cookies[0], cookies[2]);
});

Deno.test("a watch is on the directory that is held, wherever it has been moved to", () => {
  using place = new Place();
  place.directory.makeDirectory(fileName("a"), 0o700);
  using held = place.directory.openBeneath(fileName("a"));
  assert(held !== undefined);
  place.directory.rename(fileName("a"), place.directory, fileName("b"));
  place.directory.makeDirectory(fileName("a"), 0o700);
  const watch = place.watch(held);
  Deno.writeTextFileSync(`${place.path}/a/wrong`, "");
  Deno.writeTextFileSync(`${place.path}/b/right`, "");
  const events = place.inotify.read();
  assertEquals([...new Set(events.map(({ name }) => name))], ["right" as ByteString]);
  assert(events.every((event) => event.watch === watch));
});

Deno.test("the same directory has the same watch; a removed watch is told, and its number does not come again", () => {
  using place = new Place();
  const first = place.watch();
  using again = place.directory.duplicate();
  assertEquals(place.watch(again), first);
  place.inotify.removeWatch(first);
  assertEquals(place.inotify.read(), [{
    watch: first,
    mask: IN.IGNORED,
    cookie: 0,
    name: "" as ByteString,
  }]);
  assertNotEquals(place.watch(), first);
  place.inotify.removeWatch(first); // gone already: nothing happens
});

Deno.test("I3: no event is lost while its directory is watched once more", async () => {
  using place = new Place();
  place.watch();
  const count = 10_000;
  const guest = new Deno.Command("sh", {
    args: ["-c", `seq ${count} | xargs -n 2000 mkdir`],
    cwd: place.path,
  }).spawn();
  let ended = false;
  guest.status.then(() => ended = true);
  const told = new Set<string>();
  const collect = () => {
    for (let events = place.inotify.read(); events.length > 0; events = place.inotify.read()) {
      for (const { name } of events) told.add(name);
    }
  };
  while (!ended) {
    for (let i = 0; i < 500; i++) place.watch();
    collect();
    await new Promise((resolve) => setTimeout(resolve));
  }
  collect();
  assert((await guest.status).success);
  assertEquals(told.size, count);
});

Deno.test("asking for a watch on a removed directory breaks nothing; on a file it is refused", () => {
  using place = new Place();
  place.directory.makeDirectory(fileName("gone"), 0o700);
  using gone = place.directory.openBeneath(fileName("gone"));
  assert(gone !== undefined);
  place.directory.removeDirectory(fileName("gone"));
  // The kernel may still watch what nobody can reach any more; what counts is that nothing breaks.
  assert(["number", "string"].includes(typeof place.inotify.addWatch(gone, MASK)));
  using file = place.directory.createFile(fileName("file"), 0o600);
  assertEquals(place.inotify.addWatch(file, MASK), "gone");
});

Deno.test("names are told as bytes", () => {
  using place = new Place();
  place.watch();
  const names = ["\xff\xfe", "\n", "x".repeat(255), "\xc3\xa4"] as FileName[];
  for (const name of names) place.directory.createFile(name, 0o600).close();
  const told = place.inotify.read().filter(({ mask }) => mask & IN.CREATE).map(({ name }) => name);
  assertEquals(told, names);
});

Deno.test("more events than fit one read come in the next, in order and whole", () => {
  using place = new Place();
  place.watch(place.directory, IN.CREATE);
  const count = 5000;
  for (let i = 0; i < count; i++) {
    place.directory.createFile(fileName(`${i}`.padStart(200, "0")), 0o600).close();
  }
  const told: string[] = [];
  let reads = 0;
  for (let events = place.inotify.read(); events.length > 0; events = place.inotify.read()) {
    told.push(...events.map(({ name }) => name));
    reads++;
  }
  assert(reads > 1);
  assertEquals(told, Array.from({ length: count }, (_, i) => `${i}`.padStart(200, "0")));
});

Deno.test("a queue that overflows says so at its end", () => {
  using place = new Place();
  place.watch(place.directory, IN.CREATE);
  const most = Number(Deno.readTextFileSync("/proc/sys/fs/inotify/max_queued_events"));
  for (let i = 0; i <= most; i++) {
    const name = fileName(`${i}`);
    place.directory.createFile(name, 0o600).close();
    place.directory.removeFile(name);
  }
  let last: InotifyEvent | undefined;
  for (let events = place.inotify.read(); events.length > 0; events = place.inotify.read()) {
    last = events.at(-1);
  }
  assertEquals(last, { watch: -1, mask: IN.Q_OVERFLOW, cookie: 0, name: "" as ByteString });
});

Deno.test("a closed queue is not read", () => {
  const inotify = new Inotify();
  inotify.close();
  assertThrows(() => inotify.read(), Error, "closed before");
});

Deno.test("events are read as the kernel lays them out, in a part of a larger buffer too", () => {
  const event = fc.record({
    watch: fc.integer({ min: -1, max: 2 ** 31 - 1 }),
    mask: fc.nat({ max: 2 ** 32 - 1 }),
    cookie: fc.nat({ max: 2 ** 32 - 1 }),
    name: fc.uint8Array({ min: 1, maxLength: 255 }),
    padding: fc.nat({ max: 15 }),
  });
  fc.assert(
    fc.property(fc.array(event, { maxLength: 20 }), fc.nat({ max: 40 }), (events, offset) => {
      const sizes = events.map(({ name, padding }) =>
        name.length === 0 ? 0 : name.length + 1 + padding
      );
      const length = sizes.reduce((sum, size) => sum + 16 + size, 0);
      const whole = new Uint8Array(offset + length + 40).fill(0x77);
      const buffer = whole.subarray(offset);
      const view = new DataView(whole.buffer, offset);
      let at = 0;
      for (const [i, { watch, mask, cookie, name }] of events.entries()) {
        view.setInt32(at, watch, true);
        view.setUint32(at + 4, mask, true);
        view.setUint32(at + 8, cookie, true);
        view.setUint32(at + 12, sizes[i] ?? 0, true);
        buffer.fill(0, at + 16, at + 16 + (sizes[i] ?? 0));
        buffer.set(name, at + 16);
        at += 16 + (sizes[i] ?? 0);
      }
      const expected = events.map(({ watch, mask, cookie, name }) => ({
        watch,
        mask,
        cookie,
        name: fromBytes(name),
      }));
      assertEquals(parseEvents(buffer, length), expected);
    }),
  );
});
