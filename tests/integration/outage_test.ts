/** A scanner that is missing, dies, hangs or talks nonsense: held or let through, never deleted (I1, I3). */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals } from "@std/assert";
import { clean, infected } from "../support/eicar.ts";
import {
  answering,
  type FakeAnswer,
  FakeClamd,
  type FakeCommand,
  prefix,
} from "../support/fake_clamd.ts";
import { testOnEachFilesystem } from "../support/fixture.ts";
import type { FilesystemKind } from "../support/loop_filesystem.ts";
import { PATIENCE_MS, sleep, waitFor } from "../support/wait.ts";
import { World, type WorldOptions } from "../support/world.ts";

const STRICT_AND_PERMISSIVE: WorldOptions = {
  channels: {
    strict: { scanning: { permissive: false } },
    permissive: { scanning: { permissive: true } },
  },
};

/** A world whose failures show the gate's log. */
async function inWorld(
  kind: FilesystemKind,
  options: WorldOptions,
  body: (world: World) => Promise<void>,
): Promise<void> {
  await using world = await World.prepare(kind, options);
  try {
    await body(world);
    await world.verify();
  } catch (error) {
    if (error instanceof Error) error.message += `\n${world.report()}`;
    throw error;
  }
}

/** The same file for both channels. */
async function writeBoth(world: World, path: string, content: string): Promise<void> {
  for (const channel of world.channels.values()) await channel.share("ann").write(path, content);
}

/** Permissive has delivered `path`; strict holds it, and its author still has it. */
async function heldByStrictOnly(world: World, path: string, content: string): Promise<void> {
  const [strict, permissive] = [world.channel("strict"), world.channel("permissive")];
  await waitFor(
    `permissive delivers ${path}`,
    async () =>
      await permissive.export.readText(path) === content &&
      await permissive.share("bob").readText(path) === content,
  );
  await waitFor(
    "the user is told that strict holds it",
    () => scanErrors(world, strict.share("ann").at(path)) > 0,
  );
  assert(!strict.export.has(path));
  assert(!strict.share("bob").has(path));
  assertEquals(await strict.share("ann").readText(path), content);
}

function scanErrors(world: World, path: string): number {
  return world.user.lines.filter((line) => line.startsWith(`Scan error for file ${path}: `)).length;
}

async function delivered(world: World, path: string, content: string): Promise<void> {
  for (const channel of world.channels.values()) {
    await waitFor(
      `${channel.name} delivers ${path}`,
      async () => await channel.export.readText(path) === content,
    );
    await channel.settled();
  }
}

testOnEachFilesystem(
  "I3: clamd missing at startup: ready, strict holds until it comes",
  (kind) =>
    inWorld(kind, STRICT_AND_PERMISSIVE, async (world) => {
      await world.channel("strict").share("bob").write("before", "was there before");
      await world.startGate();
      await writeBoth(world, "new", "written without a scanner");
      await heldByStrictOnly(world, "new", "written without a scanner");
      await world.clamd.start();
      await delivered(world, "new", "written without a scanner");
      assertEquals(await world.channel("strict").export.readText("before"), "was there before");
      // Told once for each file, however often it was tried.
      assertEquals(scanErrors(world, world.channel("strict").share("ann").at("new")), 1);
    }),
);

testOnEachFilesystem(
  "I3: clamd killed in the middle, and back",
  (kind) =>
    inWorld(kind, STRICT_AND_PERMISSIVE, async (world) => {
      await world.clamd.start();
      await world.startGate();
      await writeBoth(world, "first", "scanned");
      await delivered(world, "first", "scanned");
      await world.clamd.kill();
      await writeBoth(world, "second", "not scanned");
      await writeBoth(world, "first", "a change that is not scanned");
      await heldByStrictOnly(world, "second", "not scanned");
      const strict = world.channel("strict");
      assertEquals(await strict.export.readText("first"), "scanned");
      assertEquals(await strict.share("bob").readText("first"), "scanned");
      await world.clamd.start();
      await delivered(world, "second", "not scanned");
      await delivered(world, "first", "a change that is not scanned");
    }),
);

testOnEachFilesystem(
  "I3: clamd killed while 300 files are on their way",
  (kind) =>
    inWorld(kind, { channels: { strict: {} } }, async (world) => {
      await world.clamd.start();
      await world.startGate();
      const writing = world.only.share("ann").shell(
        "mkdir -p d; for i in $(seq 300); do echo $i > d/$i; done",
      );
      await waitFor("some have arrived", () => world.only.export.list("d").length > 20);
      await world.clamd.kill();
      await writing;
      await world.clamd.start();
      await waitFor("all have arrived", () => world.only.export.list("d").length === 300);
      await world.only.settled();
    }),
);

testOnEachFilesystem("I3, I7: clamd hangs, and goes on", (kind) =>
  inWorld(
    kind,
    { channels: { strict: {}, trusted: { scanning: { enable: false } } } },
    async (world) => {
      await world.clamd.start();
      await world.startGate();
      await world.channel("strict").share("ann").write("before", "1");
      await waitFor("it is delivered", () => world.channel("strict").export.has("before"));
      world.clamd.freeze();
      await world.channel("strict").share("ann").write("during", "2");
      await world.channel("strict").share("ann").write("before", "3");
      await world.channel("trusted").share("bob").write("other", "4");
      await waitFor("a channel without scanner is not delayed", () =>
        world.channel("trusted").export.has("other"));
      await world.channel("strict").share("ann").shell("mkdir d; mv before d/moved");
      await world.channel("trusted").quiet();
      const { export: exported } = world.channel("strict");
      assert(!exported.has("during"));
      assertEquals(await world.channel("strict").share("ann").readText("d/moved"), "3");
      world.clamd.thaw();
      await waitFor("what was held is delivered", async () =>
        await exported.readText("during") === "2" && await exported.readText("d/moved") === "3");
      await world.channel("strict").settled();
    },
  ));

testOnEachFilesystem(
  "I3: a directory that is renamed while clamd hangs does not come back under its old name",
  (kind) =>
    inWorld(kind, { channels: { strict: {} } }, async (world) => {
      await world.clamd.start();
      await world.startGate();
      const { only } = world;
      const ann = only.share("ann");
      await ann.shell("mkdir -p old/sub; for i in 1 2 3; do echo $i > old/sub/$i; done");
      await waitFor("it is delivered", () => only.export.list("old/sub").length === 3);
      await only.settled();
      world.clamd.freeze();
      await ann.shell("mv old on-its-way; mv on-its-way new");
      await ann.shell("for i in 1 2 3; do echo again $i > new/sub/$i; done");
      await waitFor("it is held", () => scanErrors(world, ann.at("new/sub/3")) > 0);
      // Longer than the gate waits for what it cannot explain to leave a directory.
      await sleep(10_000);
      // The others' directories may have been renamed as well, after either step.
      const copies = ["old", "on-its-way", "new"].map((name) =>
        only.export.list(`${name}/sub`).length
      );
      assertEquals([ann.has("old"), Math.max(...copies)], [false, 3], `copies: ${copies}`);
      world.clamd.thaw();
      await waitFor("it is everywhere, under its new name only", () =>
        only.peers.every((peer) => peer.list("new/sub").length === 3 && !peer.has("old")));
    }),
);

/** Answers of a broken clamd to a scan; everything else it does well. */
const NONSENSE: Readonly<Record<string, (command: FakeCommand) => FakeAnswer>> = {
  "answers garbage": () => "\x01\x02 what?\n\0",
  "closes without an answer": () => "close",
  "answers with an error": ({ id }) => `${prefix(id)}fd[7]: lstat() failed. ERROR\0`,
  "answers half a line": ({ id }) => [`${prefix(id)}fd[7]: Some.Virus FOU`, "close"],
  "answers for another number": () => "9999: fd[7]: Some.Virus FOUND\0",
};

for (const [what, scan] of Object.entries(NONSENSE)) {
  testOnEachFilesystem(
    `I1, I3: clamd ${what}: held or let through, nothing is deleted`,
    (kind) =>
      inWorld(kind, STRICT_AND_PERMISSIVE, async (world) => {
        {
          await using fake = FakeClamd.start(answering(scan), world.clamd.socket);
          await world.startGate();
          await writeBoth(world, "file", "clean");
          await heldByStrictOnly(world, "file", "clean");
          assert(fake.commands.length > 0);
        }
        await world.clamd.start();
        await delivered(world, "file", "clean");
      }),
  );
}

testOnEachFilesystem(
  "I1: answers in pieces and late are understood",
  (kind) =>
    inWorld(kind, { channels: { strict: {} } }, async (world) => {
      const answer = answering(({ id }) => [prefix(id), "f", "d[7]", ": O", "K", "\0"]);
      await using fake = FakeClamd.start(answer, world.clamd.socket);
      await world.startGate();
      await world.only.share("ann").shell("for i in $(seq 40); do echo $i > $i; done");
      await waitFor("all are delivered", () => world.only.export.list().length === 40);
      await world.only.settled();
      fake.answer = answering(({ id }) => [prefix(id), "fd[7]: Some.Vi", "rus FOU", "ND\0"]);
      await world.only.share("ann").write("bad", "infected, says the scanner");
      await waitFor("what it found is told", () =>
        world.user.lines.some((line) =>
          line.startsWith("Malware Some.Virus was detected in file: ")
        ));
      await waitFor("the file is deleted", () =>
        !world.only.share("ann").has("bad"));
      assert(!world.only.export.has("bad"));
    }),
);

/** Files that one guest writes while there is no scanner. */
const MANY = 2000;

testOnEachFilesystem(
  "I7: when the scanner is back, a guest's held file does not wait for all of another's",
  (kind) =>
    inWorld(kind, { channels: { docs: {} } }, async (world) => {
      await world.startGate();
      const [ann, bob, cid] = ["ann", "bob", "cid"].map((name) => world.only.share(name));
      if (ann === undefined || bob === undefined || cid === undefined) throw new Error("no shares");
      await ann.shell(
        `mkdir a; cd a; for i in $(seq ${MANY}); do echo $i > $i; done; touch ../end`,
      );
      await bob.write("z/file", "the last by its name");
      await bob.write("z/end", "");
      await waitFor(
        "what is empty needs no scanner, and has come behind the rest",
        () => cid.has("end") && cid.has("z/end"),
      );
      await world.clamd.start();
      await waitFor("it arrives", () => cid.has("z/file"));
      const before = cid.list("a").length;
      assert(before < MANY / 2, `${before} of another guest's files were first`);
      await waitFor("the others arrive", () => cid.list("a").length === MANY);
    }),
);

/** With such names, and fewer than a queue may have paths, it overflows by their bytes. */
const TOO_MANY = 4_500;
const LONG_NAME = "n".repeat(250);

testOnEachFilesystem(
  "I3, I7: a start is over, and others' deletions travel, while a guest's many changes wait for the scanner",
  (kind) =>
    inWorld(kind, { channels: { docs: {} } }, async (world) => {
      await world.clamd.start();
      await world.startGate();
      const [ann, bob, cid] = ["ann", "bob", "cid"].map((name) => world.only.share(name));
      if (ann === undefined || bob === undefined || cid === undefined) throw new Error("no shares");
      await bob.write("file", "to be deleted");
      await world.only.settled();
      await world.gate.term();
      await world.clamd.stop();

      await ann.shell(`
        for i in $(seq 15); do mkdir ${LONG_NAME}; cd ${LONG_NAME}; done
        for i in $(seq ${TOO_MANY}); do echo $i > $i; done
      `);
      {
        await using _ = FakeClamd.start(answering(() => "hang"), world.clamd.socket);
        await world.startGate();
        await bob.shell("rm file");
        await waitFor("the deletion travels", () => !cid.has("file") && !ann.has("file"));
      }
      await world.clamd.start();
      await waitFor(
        "what found no room in the queue arrives as well",
        async () => (await cid.shell("find . -type f | wc -l")).trim() === `${TOO_MANY}`,
        3 * PATIENCE_MS, // it is much work
      );
    }),
);

testOnEachFilesystem("I1: what is too large to be scanned is held, or let through if so wished", (
  kind,
) =>
  inWorld(kind, {
    channels: {
      strict: {},
      permissive: { scanning: { permissive: true } },
      allowing: { scanning: { oversize: "allow" } },
    },
    clamd: { MaxFileSize: "1M", MaxScanSize: "1M" },
    unequal: ["strict", "permissive"],
  }, async (world) => {
    await world.clamd.start();
    await world.startGate();
    for (const channel of world.channels.values()) {
      await channel.share("ann").write("fits", clean(1, 900_000));
      await channel.share("ann").write("large", clean(2, 3_000_000));
      await waitFor(`${channel.name} delivers what fits`, () => channel.export.has("fits"));
    }
    const allowing = world.channel("allowing");
    await waitFor("it is let through", () => allowing.export.has("large"));
    for (const name of ["strict", "permissive"]) {
      const channel = world.channel(name);
      await waitFor(`the user is told that ${name} holds it`, () =>
        scanErrors(world, channel.share("ann").at("large")) === 1);
      await channel.quiet();
      assert(!channel.export.has("large"));
      assertEquals(await channel.share("ann").read("large"), clean(2, 3_000_000));
      // Cut to a size that can be scanned, it is a file like any other.
      await channel.share("ann").shell("truncate -s 500000 large");
      await waitFor(`${name} delivers the smaller file`, () =>
        channel.export.has("large"));
    }
  }));

testOnEachFilesystem(
  "I1: a large infected file is found, not skipped",
  (kind) =>
    inWorld(kind, { channels: { strict: {} } }, async (world) => {
      await world.clamd.start();
      await world.startGate();
      await world.only.share("ann").write("large", infected(5_000_000));
      await waitFor("it is deleted", () => !world.only.share("ann").has("large"));
      assertEquals(await world.only.infectedElsewhere(), []);
    }),
);

testOnEachFilesystem(
  "--no-scan lets everything through, and says so",
  (kind) =>
    inWorld(kind, { channels: { docs: {} } }, async (world) => {
      const gate = await world.startGate({ arguments: ["--no-scan"] });
      await world.only.share("ann").write("bad", infected(100));
      await waitFor("it is delivered", () => world.only.export.has("bad"));
      await world.only.settled();
      await gate.logged(/scan/i);
    }),
);

testOnEachFilesystem(
  "I3: what is held is tried again also where another held it first, whose share was replaced",
  async (kind) => {
    await using world = await World.start(kind, { channels: { docs: {} } });
    const { only, clamd, user } = world;
    await only.share("ann").write("other", "delivered");
    await only.settled();
    await clamd.kill();
    for (const [count, name] of ["ann", "bob"].entries()) {
      await only.share(name).write("file", `by ${name}`);
      await waitFor(`${name}'s is held`, () => user.lines.length === count + 1);
    }
    await world.gate.term();
    await Deno.remove(only.share("ann").path, { recursive: true });
    await Deno.mkdir(only.share("ann").path);
    await world.startGate();
    await clamd.start();
    await waitFor(
      "it arrives",
      async () => await only.export.readText("file") === "by bob",
      20_000,
    );
    await only.settled();
  },
);

testOnEachFilesystem(
  "I3: what is held travels when nothing in its channel is scanned any more, though the scanner is away",
  async (kind) => {
    await using world = await World.start(kind, { channels: { docs: {}, other: {} } });
    const { clamd, gate, user } = world;
    const docs = world.channel("docs");
    await clamd.kill();
    await docs.share("ann").write("file", "held");
    await waitFor("it is held", () => user.lines.length === 1);
    const scanning = { ...docs.options.scanning, enable: false };
    gate.configure({ ...world.configuration, docs: { ...docs.configuration, scanning } });
    await gate.reload();
    await waitFor("it arrives", () => docs.export.has("file"), 20_000);
    await docs.settled();
  },
);
