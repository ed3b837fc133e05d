/**
 * The kernel refuses a system call while clamd-vclient reads a tree, or takes an infected file away: no file is passed
 * over, what cannot be taken away is as it was, and nothing stays open.
 */

import { intercept, opensDescriptor, ownDescriptors } from "./support/libc_hook.ts"; // before everything that opens the C library
// @ts-types="../support/assert.d.ts"
import { assertEquals, assertThrows } from "@std/assert";
import { type ByteString, fileName, fromText, ROOT } from "../../ffi/byte_string.ts";
import { Directory } from "../../ffi/directory.ts";
import { ERRNO, SystemError } from "../../ffi/errno.ts";
import { deleting, quarantining } from "../../src/vclient/disposal.ts";
import { walkFiles } from "../../src/vclient/file_walk.ts";
import { Quarantine } from "../../src/vclient/quarantine.ts";
import { openCanonical } from "../../src/daemon/trusted_path.ts";
import { scratchDirectory } from "../support/scratch.ts";
import { type Way, WAYS } from "./support/disposal_ways.ts";

const NAME = fileName("evil");
const GUEST_ID = 1000;
const ERRNOS = { EIO: ERRNO.EIO, EMFILE: ERRNO.EMFILE, ENOSPC: ERRNO.ENOSPC } as const;

/** Fails call number `from` while `what` runs; the calls that were made. `beforeRename`: of the first one. */
async function refused(
  from: number,
  errno: number,
  what: () => Promise<void> | void,
  beforeRename?: () => void,
): Promise<string[]> {
  const calls: string[] = [];
  intercept({
    before(name, args) {
      if (name === "renameat2" && !calls.includes(name)) beforeRename?.();
      if (name === "close" || (errno === ERRNO.EMFILE && !opensDescriptor(name, args))) return;
      return calls.push(name) - 1 === from ? errno : undefined;
    },
  });
  try {
    await what();
  } finally {
    intercept(undefined);
  }
  return calls;
}

function write(path: string, text: string): void {
  Deno.writeTextFileSync(path, text);
  Deno.chmodSync(path, 0o640);
  Deno.chownSync(path, GUEST_ID, GUEST_ID);
}

/** Everything in a directory: names, contents, owners and permissions. */
function contents(path: string): string {
  return [...Deno.readDirSync(path)].map(({ name }) => {
    const { mode, uid, gid } = Deno.lstatSync(`${path}/${name}`);
    const bits = ((mode ?? 0) & 0o7777).toString(8);
    return `${name} (${uid}:${gid} ${bits}): ${Deno.readTextFileSync(`${path}/${name}`)}`;
  }).sort().join("; ");
}

/** One file is to be taken away, and a call fails; throws what is not as it should be. */
async function play(way: Way, from: number, errno: number): Promise<readonly string[]> {
  const path = scratchDirectory("infected");
  const innocent = `${scratchDirectory("innocent")}/file`;
  write(`${path}/${NAME}`, "infected");
  write(innocent, "innocent");
  if (way.links === 2) Deno.linkSync(`${path}/${NAME}`, `${path}/link`);
  let expected = contents(path);
  const swap = () => {
    Deno.renameSync(innocent, `${path}/${NAME}`);
    expected = contents(path);
  };
  const before = new Set(ownDescriptors());
  const place = `${scratchDirectory("quarantine", way.quarantine ?? "disk")}/made`;
  const strays: string[] = [];
  const onStray = (message: string) => void strays.push(message);
  const quarantine = Quarantine.open(fromText(place), onStray);
  const disposal = way.quarantine === undefined ? deleting(onStray) : quarantining(quarantine);
  using parent = Directory.openTrusted(fromText(path));
  const opened = parent.openRegular(NAME);
  if (opened === undefined) throw new Error("it is not there");
  const scanned = { parent, name: NAME, ...opened };
  const finding = { path: fromText(`${path}/${NAME}`), signature: "Bad" };
  let end = "failed";
  const dispose = async () => {
    try {
      end = (await disposal.dispose(scanned, finding)).kind;
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
    }
  };
  const calls = await refused(from, errno, dispose, way.isSwapped ? swap : undefined);
  quarantine.close();
  opened.file.close();
  parent.close();
  const left = ownDescriptors().difference(before).size;
  if (left > 0) throw new Error(`${left} descriptors stay open`);
  if (end === "gone" || strays.length > 0) return calls;
  const found = contents(path);
  if (found !== expected) throw new Error(`${end}, and there is ${found}`);
  const kept = calls[from] === "unlinkat" ? "" : contents(place); // the quarantine's own could not be removed
  if (kept !== "") throw new Error(`${end}, and kept is ${kept}`);
  return calls;
}

Deno.test("I2, I3: an infected file that cannot be taken away is as it was, and so is another one that was met", async () => {
  const faults: string[] = [];
  for (const [what, way] of Object.entries(WAYS)) {
    for (const [name, errno] of Object.entries(ERRNOS)) {
      for (const [from, call] of (await play(way, Infinity, errno)).entries()) {
        await play(way, from, errno).catch((error) => {
          faults.push(`${what}; ${name} of ${call} (${from}): ${error.message}`);
        });
      }
    }
  }
  assertEquals(faults, []);
});

Deno.test("I3: no file is passed over while a tree is read with too few descriptors", async () => {
  const path = scratchDirectory("walked");
  Deno.mkdirSync(`${path}/a/b`, { recursive: true });
  for (const file of ["1", "a/2", "a/b/3"]) Deno.writeTextFileSync(`${path}/${file}`, "");
  using root = Directory.openTrusted(fromText(path));
  const walked = async (from: number, found: Set<ByteString>) =>
    await refused(from, ERRNO.EMFILE, () =>
      walkFiles(root, ROOT, {
        covered: () => {},
        isExcluded: () => false,
        file: (file) => void found.add(file),
        onTrouble: (_, reason) => void found.add(fromText(reason)),
        isStopped: () => false,
      }));
  for (const [from] of (await walked(Infinity, new Set())).entries()) {
    const found = new Set<ByteString>();
    await walked(from, found);
    assertEquals([...found].sort(), ["1", "a/2", "a/b/3"].map(fromText));
  }
});

Deno.test("a tree's root whose path cannot be told does not stay open", async () => {
  const path = fromText(Deno.realPathSync(scratchDirectory("root")));
  const before = ownDescriptors().size;
  for (const from of [0, 1]) {
    await refused(from, ERRNO.EIO, () => {
      assertThrows(() => openCanonical(path), SystemError);
    });
  }
  assertEquals(ownDescriptors().size, before);
});
