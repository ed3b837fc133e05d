/** The channel's own directories, `share` and `basePath`, removed or replaced on the host while the gate runs. */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals } from "@std/assert";
import { fileName, fromText } from "../../ffi/byte_string.ts";
import { Directory } from "../../ffi/directory.ts";
import { lockFile } from "../../ffi/file_lock.ts";
import { must, run } from "../support/command.ts";
import { EICAR } from "../support/eicar.ts";
import { testOnFilesystem } from "../support/fixture.ts";
import type { Gate } from "../support/gate.ts";
import { sleep, waitFor } from "../support/wait.ts";
import { World } from "../support/world.ts";

const DISPLACED = /was removed or replaced/;
/** Longer than it takes to notice, and to begin anew if that were possible. */
const WHILE_MS = 4000;

/** How often it was told that a directory is not in its place. */
const timesDisplaced = ({ log }: Gate) =>
  log.split("\n").filter((line) => DISPLACED.test(line)).length;

/** Once it serves anew. */
async function servesAnew(gate: Gate, times = 2): Promise<void> {
  await waitFor(() => `it does not serve anew:\n${gate.tail()}`, () => gate.timesReady === times);
}

for (const place of [".virtiofs-gate", ".virtiofs-gate/recovery", "staging"]) {
  testOnFilesystem(
    "btrfs",
    `I3, I6: ${place} was removed: told once, and made again`,
    async (kind) => {
      await using world = await World.start(kind, {
        channels: { docs: { scanning: { infectedAction: "quarantine" } } },
      });
      const { only, gate, user } = world;
      const [ann, bob] = [only.share("ann"), only.share("bob")];
      await ann.shell("mkdir d; for name in changed deleted kept; do echo 1 > d/$name; done");
      await only.settled();
      await Deno.remove(`${only.basePath}/${place}`, { recursive: true });
      await ann.write("virus", EICAR);
      await ann.write("n/new", "x");
      await bob.write("d/changed", "other");
      await servesAnew(gate);
      await waitFor("malware is gone", () => !ann.has("virus"));
      await waitFor("what is new travels", () => only.export.has("n/new"));
      await ann.shell("rm d/deleted");
      await waitFor("a deletion travels", () => !only.export.has("d/deleted"));
      await only.settled();
      assertEquals(await only.export.readText("d/changed"), "other");
      assertEquals(await only.infectedElsewhere(), []);
      assertEquals(user.lines.length, 1, user.lines.join("\n"));
      assertEquals([...Deno.readDirSync(only.quarantine)].length, 2, "a file and what tells of it");
      assertEquals(timesDisplaced(gate), 1, gate.log);
      assertEquals(gate.timesReady, 2);
      await world.verify();
    },
  );
}

testOnFilesystem(
  "btrfs",
  "I3: a share directory that was replaced by a copy is read",
  async (kind) => {
    await using world = await World.start(kind, { channels: { docs: {} } });
    const { only, gate } = world;
    await only.share("ann").shell("mkdir d; for i in 1 2 3; do echo $i > d/$i; done");
    await only.settled();
    await must("sh", ["-c", `cd '${only.basePath}' && mv share share.x && cp -a share.x share`]);
    await only.share("ann").write("d/written", "after it");
    await waitFor("it travels", () => only.export.has("d/written"));
    await only.settled();
    assertEquals(only.export.list("d"), ["1", "2", "3", "written"]);
    assertEquals(timesDisplaced(gate), 1, gate.log);
    await Deno.remove(`${only.basePath}/share.x`, { recursive: true });
    await world.verify();
  },
);

testOnFilesystem(
  "xfs",
  "I3: an empty share directory in its place deletes nothing",
  async (kind) => {
    await using world = await World.start(kind, { channels: { docs: {} } });
    const { only, gate } = world;
    await only.share("ann").shell("mkdir d; for i in 1 2 3; do echo $i > d/$i; done");
    await only.settled();
    const share = `${only.basePath}/share`;
    await Deno.rename(share, `${share}.x`);
    await gate.logged(DISPLACED);
    await sleep(WHILE_MS);
    // A host may be about to put another in its place.
    assertEquals([...Deno.readDirSync(only.basePath)].filter(({ name }) => name === "share"), []);
    for (const name of only.producers) {
      await Deno.mkdir(only.share(name).path, { recursive: true, mode: 0o755 });
    }
    await servesAnew(gate);
    await waitFor("what the export has comes back", () => only.share("bob").list("d").length === 3);
    await only.settled();
    assertEquals(only.export.list("d"), ["1", "2", "3"]);
    assertEquals([...Deno.readDirSync(`${share}.x/ann/d`)].length, 3);
    await Deno.remove(`${share}.x`, { recursive: true });
    await world.verify();
  },
);

testOnFilesystem(
  "btrfs",
  "I3: what is deleted in a share directory that was put aside is no deletion",
  async (kind) => {
    await using world = await World.start(kind, { channels: { docs: {} } });
    const { only, gate } = world;
    await only.share("ann").shell("mkdir d; for i in 1 2 3; do echo $i > d/$i; done");
    await only.settled();
    const made = only.producers.map((name) => `share/${name}`).join(" ");
    await must("sh", [
      "-c",
      `cd '${only.basePath}' && mv share share.x && mkdir -p ${made} && rm -rf share.x`,
    ]);
    await servesAnew(gate);
    await waitFor("what the export has comes back", () => only.share("bob").list("d").length === 3);
    await only.settled();
    assertEquals(only.export.list("d"), ["1", "2", "3"]);
    await world.verify();
  },
);

testOnFilesystem(
  "xfs",
  "I3, I7: a base that was replaced is served when it is there; nothing is deleted, other channels go on",
  async (kind) => {
    await using world = await World.start(kind, { channels: { docs: {}, mail: {} } });
    const { gate } = world;
    const [docs, mail] = [world.channel("docs"), world.channel("mail")];
    await docs.share("ann").write("former", "1");
    await docs.settled();
    const old = `${docs.basePath}.old`;
    await Deno.rename(docs.basePath, old);
    await gate.logged(/docs.* was removed or replaced/);
    await gate.logged(/docs.*does not exist/);
    await mail.share("ann").write("meanwhile", "x");
    await waitFor("the other channel goes on", () => mail.export.has("meanwhile"));
    for (const name of docs.producers) await Deno.mkdir(docs.share(name).path, { recursive: true });
    await servesAnew(gate);
    await docs.share("ann").write("new", "x");
    await waitFor("it travels", () => docs.share("bob").has("new"));
    await docs.settled();
    assertEquals(docs.export.list(), ["new"]);
    for (const place of ["export", "share/ann", "share/bob"]) {
      assertEquals(await Deno.readTextFile(`${old}/${place}/former`), "1");
    }
    assertEquals(timesDisplaced(gate), 1, gate.log);
    await Deno.remove(old, { recursive: true });
    await world.verify();
  },
);

testOnFilesystem(
  "btrfs",
  "I3: what is mounted over a base is used if it can be, and nothing is made in it if not",
  async (kind) => {
    await using world = await World.start(kind, { channels: { docs: {} } });
    const { only, gate, filesystem } = world;
    await only.share("ann").write("below", "1");
    await only.settled();

    await must("mount", ["-t", "tmpfs", "none", only.basePath]);
    try {
      await Deno.mkdir(`${only.basePath}/share`);
      await gate.logged(/docs.*(reflink|btrfs)/);
      await sleep(WHILE_MS);
      const there = [...Deno.readDirSync(only.basePath)].map(({ name }) => name);
      assertEquals(there, ["share"], "nothing is made in what cannot be used");
      assertEquals(gate.timesReady, 1);
    } finally {
      await must("umount", [only.basePath]);
    }
    await servesAnew(gate);
    await only.share("bob").write("uncovered", "1");
    await waitFor("it goes on", () => only.export.has("uncovered"));
    await only.settled();

    const other = await filesystem.directory("other");
    for (const name of only.producers) {
      await Deno.mkdir(`${other}/share/${name}`, { recursive: true });
    }
    await must("mount", ["--bind", other, only.basePath]);
    try {
      await servesAnew(gate, 3);
      await only.share("ann").write("above", "1");
      await waitFor("it travels", () => only.share("bob").has("above"));
      await only.settled();
      assertEquals(only.export.list(), ["above"]);
    } finally {
      await must("umount", ["-l", only.basePath]);
    }
    await servesAnew(gate, 4);
    await only.settled();
    assertEquals(only.export.list(), ["below", "uncovered"]);
    await world.verify();
  },
);

testOnFilesystem(
  "xfs",
  "I3: a file system that is unmounted and mounted again is served again; nothing is made in its mount point",
  async (kind) => {
    await using world = await World.start(kind, { channels: { docs: {} } });
    const { only, gate, filesystem } = world;
    await only.share("ann").write("before", "1");
    await only.settled();
    await must("umount", ["-l", filesystem.path]);
    await gate.logged(DISPLACED);
    await gate.logged(/docs.*does not exist/);
    assertEquals([...Deno.readDirSync(filesystem.path)], []);
    await filesystem.mount();
    await servesAnew(gate);
    await only.share("bob").write("after", "1");
    await waitFor("it travels", () => only.export.has("after"));
    await only.settled();
    assertEquals(only.export.list(), ["after", "before"]);
    await world.verify();
  },
);

testOnFilesystem(
  "xfs",
  "I3: a file system that has failed is let go of, and served again when it is mounted again",
  async (kind) => {
    await using world = await World.start(kind, { channels: { docs: {} } });
    const { only, gate, filesystem } = world;
    await only.share("ann").write("before", "1");
    await only.settled();
    await must("xfs_io", ["-x", "-c", "shutdown -f", filesystem.path]); // as where its disk is lost
    await gate.logged(/is on a file system that has failed/);
    const unmounts = async () => (await run("umount", [filesystem.path])).code === 0;
    await waitFor("it can be unmounted", unmounts);
    await filesystem.mount();
    await only.share("bob").write("after", "1");
    await waitFor("it travels", () => only.export.has("after"));
    await only.settled();
    assertEquals(only.export.list(), ["after", "before"]);
    await world.verify();
  },
);

testOnFilesystem(
  "btrfs",
  "I7: a channel whose base stays away keeps no other from being served again",
  async (kind) => {
    await using world = await World.start(kind, { channels: { docs: {}, mail: {} } });
    const { gate } = world;
    const [docs, mail] = [world.channel("docs"), world.channel("mail")];
    for (const { basePath } of [docs, mail]) await Deno.rename(basePath, `${basePath}.old`);
    await gate.logged(/docs.*does not exist/);
    await Deno.rename(`${docs.basePath}.old`, docs.basePath);
    await servesAnew(gate);
    await docs.share("ann").write("new", "x");
    await waitFor("it travels", () => docs.share("bob").has("new"));
    await Deno.rename(`${mail.basePath}.old`, mail.basePath);
    await mail.share("ann").write("letter", "x");
    await waitFor("so does what the other one has", () => mail.share("bob").has("letter"));
    await world.verify();
  },
);

testOnFilesystem("btrfs", "a gate that waits for a base ends when it is asked to", async (kind) => {
  await using world = await World.start(kind, { channels: { docs: {} } });
  const { only, gate } = world;
  await Deno.rename(only.basePath, `${only.basePath}.old`);
  await gate.logged(/does not exist/);
  await gate.reload();
  await gate.logged(/is not used/);
  assert(/STATUS=.*waits/.test(gate.serviceManager.said().join("\n")), "the status tells");
  assertEquals((await gate.term()).code, 0, gate.tail());
});

testOnFilesystem(
  "btrfs",
  "I3, I6: a base that is away again when the gate starts anew is waited for, and served when it can be",
  async (kind) => {
    await using world = await World.start(kind, { channels: { docs: {} } });
    const { only, gate } = world;
    const old = `${only.basePath}.old`;
    await Deno.rename(only.basePath, old);
    await gate.logged(/does not exist/);
    await Deno.rename(old, only.basePath);
    await gate.logged(/starting anew/);
    await Deno.rename(only.basePath, old);
    await servesAnew(gate); // it does not end, though there is no other channel
    await gate.logged(/docs waits until it can be served again: .*does not exist/);
    assert(/STATUS=.*docs waits/.test(gate.serviceManager.said().join("\n")), "the status tells");
    await gate.reload();
    await gate.logged(/is not used/);

    // What only a start would meet is looked at as well, or there would be one in vain each few seconds.
    const own = Directory.openTrusted(fromText(`${old}/.virtiofs-gate`));
    const lock = own.openOrCreateFile(fileName("lock"), 0o600);
    assert(lockFile(lock));
    await Deno.rename(old, only.basePath);
    await gate.logged(/not served again yet.*served by another/);
    assertEquals(gate.timesReady, 3);
    lock.close();
    own.close();
    await servesAnew(gate, 4);
    await only.share("ann").write("after", "1");
    await waitFor("it travels", () => only.export.has("after"));
    await world.verify();
  },
);
