/** A file in very many pieces: it costs a guest next to nothing, but the kernel has to give up each of them. */

// @ts-types="../support/assert.d.ts"
import { assert } from "@std/assert";
import { fileName, fromText } from "../../ffi/byte_string.ts";
import type { Descriptor } from "../../ffi/descriptor.ts";
import { Directory } from "../../ffi/directory.ts";
import { writeAll } from "../../ffi/file_content.ts";
import { libc } from "../../ffi/libc.ts";
import type { Channel } from "../support/channel.ts";
import { testOnEachFilesystem } from "../support/fixture.ts";
import { waitFor } from "../support/wait.ts";
import { World } from "../support/world.ts";
import { report } from "./support/size.ts";

const CHANNEL = { producers: ["ann", "bob"], scanning: { enable: false } };
const BLOCK = 4096;
const PIECES = 32_768;
const TICKS_PER_SECOND = 100;
const START_VARIES_S = 0.2;

testOnEachFilesystem(
  `I7: no other work waits while the kernel gives up the ${PIECES} pieces of a guest's file, again and again`,
  async (kind) => {
    await using world = await World.start(kind, { channels: { docs: CHANNEL } });
    const { only } = world;
    const [ann, bob] = [only.share("ann"), only.share("bob")];
    const before = processorTime(world.gate.child.pid);
    await makeLarge(ann.path);
    for (const mode of [0o600, 0o644, 0o640]) {
      await Deno.chmod(ann.at("large"), mode);
      await waitFor(
        `it arrives with mode ${mode.toString(8)}`,
        () => [bob, only.export].every((place) => modeOf(place.at("large")) === mode),
      );
    }
    await Deno.remove(bob.at("large"));
    await waitFor("its removal arrives", () => !ann.has("large"));
    await waitFor("nothing lingers", () => lingering(only).length === 0);
    const after = processorTime(world.gate.child.pid);
    const inMain = after.main - before.main;
    const inAll = after.all - before.all;
    report(`pieces on ${kind}: ${inMain.toFixed(2)} of ${inAll.toFixed(2)} s in the main thread`);
    assert(inMain < inAll / 4, `${inMain} of ${inAll} s in the main thread`);
    await world.verify();
  },
);

testOnEachFilesystem(
  `I7: a start does not wait while the kernel gives up the ${PIECES} pieces of what a crash left`,
  async (kind) => {
    await using world = await World.start(kind, { channels: { docs: CHANNEL } });
    const { only } = world;
    const [ann, bob] = [only.share("ann"), only.share("bob")];
    await world.startGate();
    await waitFor("it rests", () => lingering(only).length === 0);
    const usual = processorTime(world.gate.child.pid);
    await makeLarge(ann.path);
    await waitFor("it arrives", () => [bob, only.export].every((place) => place.has("large")));
    await Deno.chmod(ann.at("large"), 0o640);
    await waitFor(
      "it is replaced",
      () => [bob, only.export].every((place) => modeOf(place.at("large")) === 0o640),
    );
    await world.gate.kill();
    assert(lingering(only).length > 0, "it has not been given up yet");
    await world.startGate();
    await waitFor("nothing lingers", () => lingering(only).length === 0);
    const { main, all } = processorTime(world.gate.child.pid);
    report(
      `a start on ${kind}: ${main} s in the main thread, usually ${usual.main}; in all ${all}`,
    );
    const most = usual.main + START_VARIES_S + (all - usual.all) / 4;
    assert(main < most, `${main} of ${all} s in the main thread, usually ${usual.main}`);
    await world.verify();
  },
);

/** The file `large`, which has so many pieces when it gets its name. */
async function makeLarge(share: string): Promise<void> {
  using directory = Directory.openTrusted(fromText(share));
  using file = directory.createUnnamed();
  await fragment(file);
  directory.linkUnnamed(file, fileName("large"));
}

/** Permission bits; `undefined` while there is no file. */
function modeOf(path: string): number | undefined {
  try {
    return (Deno.lstatSync(path).mode ?? 0) & 0o777;
  } catch {
    return undefined; // not there
  }
}

/** What was replaced or removed, and is not given up yet. */
function lingering({ stateDirectory }: Channel): string[] {
  return [...Deno.readDirSync(`${stateDirectory}/recovery`)].map(({ name }) => name)
    .filter((name) => name.startsWith("taken-"));
}

/** Lets one block stand for all of them: each is a piece of its own. */
async function fragment(file: Descriptor): Promise<void> {
  writeAll(file, crypto.getRandomValues(new Uint8Array(BLOCK)));
  await libc.fdatasyncBlocking(file.fd);
  const from = new BigInt64Array(1);
  const to = new BigInt64Array(1);
  for (let size = BLOCK; size < PIECES * BLOCK; size *= 2) {
    from[0] = 0n;
    to[0] = BigInt(size);
    const [read, write] = [new Uint8Array(from.buffer), new Uint8Array(to.buffer)];
    const copied = await libc.copyFileRangeBlocking(file.fd, read, file.fd, write, BigInt(size), 0);
    if (Number(copied) !== size) throw new Error(`${copied} of ${size} bytes`);
  }
}

/** Of the main thread and of the whole process, in seconds. */
function processorTime(pid: number): { main: number; all: number } {
  const time = (path: string) => {
    const stat = Deno.readTextFileSync(path);
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
  };
  return { main: time(`/proc/${pid}/task/${pid}/stat`), all: time(`/proc/${pid}/stat`) };
}
