/** The daemon's own removal of malware takes nobody's last clean copy away (I3). */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals } from "@std/assert";
import type { Channel } from "../support/channel.ts";
import { EICAR } from "../support/eicar.ts";
import { answering, FakeClamd, type FakeCommand, prefix } from "../support/fake_clamd.ts";
import { testOnEachFilesystem } from "../support/fixture.ts";
import { scratchDirectory } from "../support/scratch.ts";
import { sleep, waitFor } from "../support/wait.ts";
import { World } from "../support/world.ts";

const CLEAN = "the last clean version";

/** All peers have the clean version at `path`, and keep it. */
async function allHaveClean(channel: Channel, path: string): Promise<void> {
  const contents = () => Promise.all(channel.peers.map((peer) => peer.readText(path)));
  await waitFor(
    `${path} is clean everywhere`,
    async () => (await contents()).every((content) => content === CLEAN),
    10_000,
  );
  await channel.settled();
  for (const content of await contents()) assertEquals(content, CLEAN);
}

testOnEachFilesystem(
  "I3: at a first start, the export's clean version is no orphan of malware",
  async (kind) => {
    await using world = await World.prepare(kind, { channels: { docs: { producers: ["ann"] } } });
    const { only } = world;
    await Deno.mkdir(only.export.path);
    await only.export.write("letter", CLEAN);
    await only.share("ann").write("letter", EICAR);
    await world.clamd.start();
    await world.startGate();
    await allHaveClean(only, "letter");
  },
);

testOnEachFilesystem(
  "I3: the index is lost, and all producers' copies were infected meanwhile",
  async (kind) => {
    await using world = await World.start(kind, {
      channels: { docs: { producers: ["ann", "bob"] } },
    });
    const { only } = world;
    await only.share("ann").write("letter", CLEAN);
    await only.settled();
    await world.gate.term();
    await Deno.remove(only.stateDirectory, { recursive: true });
    for (const name of only.producers) await only.share(name).write("letter", EICAR);
    await world.startGate();
    await allHaveClean(only, "letter");
  },
);

testOnEachFilesystem("I3: infected and renamed while the daemon was down", async (kind) => {
  await using world = await World.start(kind, { channels: { docs: {} } });
  const { only } = world;
  const ann = only.share("ann");
  for (const name of ["z", "dir/file", "gone"]) await ann.write(name, CLEAN);
  await only.settled();
  await world.gate.term();
  await ann.shell("rm gone");
  await ann.write("z", EICAR);
  await ann.write("dir/file", EICAR);
  await ann.shell("mv z a; mv dir other");
  await world.startGate();
  await allHaveClean(only, "z");
  await allHaveClean(only, "dir/file");
  assertEquals(await only.infectedElsewhere(), []);
  assert(!only.export.has("gone"), "what was merely deleted is");
  const told = world.user.lines.map((line) => line.replace(/.*\/share\//, "")).sort();
  assertEquals(told, ["ann/a", "ann/other/file"]);
});

testOnEachFilesystem("I3: infected and renamed in an outage, before a restart", async (kind) => {
  await using world = await World.start(kind, {
    channels: { docs: { producers: ["ann", "bob"] } },
  });
  const { only } = world;
  const ann = only.share("ann");
  for (const name of ["a", "z"]) await ann.write(name, CLEAN);
  await only.settled();
  await world.clamd.kill();
  for (const name of ["a", "z"]) await ann.write(name, EICAR);
  await ann.shell("mv a b; mv z y");
  await waitFor("both are held", () => world.user.lines.length === 2);
  await world.gate.reload();
  await waitFor("both are there", () => only.export.has("a") && only.export.has("z"));
  await world.clamd.start();
  await allHaveClean(only, "a");
  await allHaveClean(only, "z");
});

for (const how of ["in the outage", "while the daemon was down"]) {
  testOnEachFilesystem(
    `I3: renamed ${how}, all keep it until the scanner is back`,
    async (kind) => {
      await using world = await World.start(kind, { channels: { docs: {} } });
      const { only } = world;
      const ann = only.share("ann");
      for (const name of ["a", "z", "dir/file"]) await ann.write(name, CLEAN);
      await only.settled();
      await world.clamd.kill();
      const rename = "mv a b; mv z y; mv dir/file dir/moved";
      if (how === "in the outage") {
        await ann.shell(rename);
        await waitFor("they are held", () => world.user.lines.length === 3);
        await world.gate.reload();
      } else {
        await world.gate.term();
        await ann.shell(rename);
        await world.startGate();
        await waitFor("they are held", () => world.user.lines.length === 3);
      }
      await sleep(1000);
      for (const place of [only.share("bob"), only.export]) {
        assertEquals(place.list(), ["a", "dir", "z"]);
        assertEquals(place.list("dir"), ["file"]);
      }
      await world.clamd.start();
      for (const name of ["b", "y", "dir/moved"]) await allHaveClean(only, name);
      assertEquals(only.export.list(), ["b", "dir", "y"]);
      assertEquals(only.export.list("dir"), ["moved"]);
    },
  );
}

testOnEachFilesystem(
  "I3: a directory is exchanged for a file in an outage: all keep what is in it until the scanner is back",
  async (kind) => {
    await using world = await World.start(kind, { channels: { docs: {} } });
    const { only } = world;
    const ann = only.share("ann");
    await ann.write("directory/letter", CLEAN);
    await ann.write("directory/below/letter", "another one");
    await ann.write("file", "a file");
    await only.settled();
    await world.clamd.kill();
    ann.exchange("directory", "file");
    await sleep(2000); // XFS counts it as no change of the file, so that it need not be scanned
    for (const content of [CLEAN, "another one", "a file"]) {
      assertEquals(await only.peersWithout(content), [], content);
    }
    await world.clamd.start();
    await only.settled();
    for (const peer of only.peers) {
      assertEquals(await peer.readText("file/letter"), CLEAN);
      assertEquals(await peer.readText("file/below/letter"), "another one");
      assertEquals(await peer.readText("directory"), "a file");
    }
  },
);

/** All peers have the clean version, under whatever name, and keep it. */
async function comesBackToAll(channel: Channel): Promise<void> {
  await waitFor(
    "all have what was clean",
    async () => (await channel.peersWithout(CLEAN)).length === 0,
    20_000,
  );
  await channel.settled();
  assertEquals(await channel.peersWithout(CLEAN), []);
}

testOnEachFilesystem("I3: exchanged with a directory, and infected there", async (kind) => {
  await using world = await World.start(kind, { channels: { docs: {} } });
  const { only } = world;
  const ann = only.share("ann");
  await ann.write("letter", CLEAN);
  await ann.shell("mkdir box");
  await only.settled();
  ann.exchange("letter", "box");
  Deno.writeFileSync(ann.at("box"), EICAR);
  await waitFor("the malware is found", () => world.user.lines.length > 0);
  await comesBackToAll(only);
});

testOnEachFilesystem(
  "I3: exchanged with a directory that another guest writes into, and infected: it makes room there first",
  async (kind) => {
    await using world = await World.start(kind, { channels: { docs: {} } });
    const { only } = world;
    const [ann, bob] = [only.share("ann"), only.share("bob")];
    // What is told between two steps of the gate is told to few of them.
    const rooms = Array.from({ length: 24 }, (_, number) => `room-${number}`);
    for (const room of rooms) {
      await ann.write(`${room}/letter`, `${CLEAN} of ${room}.`);
      await ann.write(`${room}/box/old`, "old");
    }
    await only.settled();
    for (const room of rooms) {
      await bob.write(`${room}/box/new`, "new");
      ann.exchange(`${room}/letter`, `${room}/box`);
      Deno.writeFileSync(ann.at(`${room}/box`), EICAR);
      await sleep(20);
    }
    await waitFor("all malware is found", () => world.user.lines.length >= rooms.length);
    await only.quiet();
    await only.settled();
    for (const room of rooms) {
      assertEquals(await only.peersWithout(`${CLEAN} of ${room}.`), [], world.gate.tail());
    }
  },
);

testOnEachFilesystem(
  "I3: in a directory that was exchanged with a file, and infected",
  async (kind) => {
    await using world = await World.start(kind, { channels: { docs: {} } });
    const { only } = world;
    const ann = only.share("ann");
    await ann.write("box/in/letter", CLEAN);
    await ann.write("other/file", "another one");
    await only.settled();
    ann.exchange("box", "other/file");
    Deno.writeFileSync(ann.at("other/file/in/letter"), EICAR);
    await waitFor("the malware is found", () => world.user.lines.length > 0);
    await comesBackToAll(only);
  },
);

testOnEachFilesystem(
  "I3: in a directory that was exchanged with a file, each under a name of its own, and then infected both",
  async (kind) => {
    await using world = await World.start(kind, { channels: { docs: {} } });
    const { only } = world;
    const ann = only.share("ann");
    for (let round = 0; round < 8; round++) {
      await ann.write(`box${round}/letter`, `${CLEAN}, ${round}.`);
      await ann.write(`file${round}`, `the file, ${round}.`);
    }
    await only.settled();
    for (let round = 0; round < 8; round++) {
      ann.exchange(`box${round}`, `file${round}`);
      Deno.writeFileSync(ann.at(`box${round}`), EICAR);
      await sleep(round * 20);
      Deno.renameSync(ann.at(`file${round}/letter`), ann.at(`moved${round}`));
      Deno.writeFileSync(ann.at(`moved${round}`), EICAR);
    }
    await waitFor("the malware is found", () => world.user.lines.length >= 16);
    await only.quiet();
    await only.settled();
    for (let round = 0; round < 8; round++) {
      for (const content of [`${CLEAN}, ${round}.`, `the file, ${round}.`]) {
        assertEquals(await only.peersWithout(content), [], world.gate.tail());
      }
    }
  },
);

testOnEachFilesystem(
  "I3: in a renamed directory, the name of which another thing has had and left since, and infected",
  async (kind) => {
    await using world = await World.start(kind, { channels: { docs: {} } });
    const { only } = world;
    const ann = only.share("ann");
    await ann.write("box/letter", CLEAN);
    await only.settled();
    Deno.renameSync(ann.at("box"), ann.at("other"));
    Deno.writeTextFileSync(ann.at("box"), "another thing");
    Deno.renameSync(ann.at("box"), ann.at("third"));
    Deno.writeFileSync(ann.at("other/letter"), EICAR);
    await waitFor("the malware is found", () => world.user.lines.length > 0);
    await comesBackToAll(only);
  },
);

testOnEachFilesystem(
  "I3: two directories exchanged in an outage, all keep what is in them until the scanner is back",
  async (kind) => {
    await using world = await World.start(kind, { channels: { docs: {} } });
    const { only } = world;
    const ann = only.share("ann");
    await ann.write("one/a", "content of a");
    await ann.write("two/b", "content of b");
    await only.settled();
    await world.clamd.kill();
    await world.gate.reload(); // no verdict is remembered
    ann.exchange("one", "two");
    await waitFor("both are held", () => world.user.lines.length === 2, 10_000);
    await sleep(1000);
    for (const content of ["content of a", "content of b"]) {
      assertEquals(await only.peersWithout(content), []);
    }
    await world.clamd.start();
    await waitFor("they arrive", () => only.export.has("one/b") && only.export.has("two/a"));
    await only.settled();
    assertEquals([only.export.list("one"), only.export.list("two")], [["b"], ["a"]]);
  },
);

testOnEachFilesystem(
  "I3: infected by one, and by another one who has renamed it, while the first one's is scanned",
  async (kind) => {
    await using world = await World.prepare(kind, { channels: { docs: {} } });
    const { only, user } = world;
    const found = (id: number | undefined) => `${prefix(id)}fd[7]: Some.Virus FOUND\0`;
    const annsAnswer = Promise.withResolvers<void>();
    let scans = 0;
    let lastClean = Infinity;
    const scan = ({ id }: FakeCommand) => {
      switch (++scans - lastClean) {
        case 1:
          return annsAnswer.promise.then(() => found(id));
        case 2:
          return found(id);
        default:
          return `${prefix(id)}fd[7]: OK\0`;
      }
    };
    await using _ = FakeClamd.start(answering(scan), world.clamd.socket);
    await world.startGate();
    await only.share("ann").write("letter", CLEAN);
    await only.settled();
    lastClean = scans;
    await only.share("ann").write("letter", "infected by ann");
    await waitFor("it is being scanned", () => scans > lastClean);
    await only.share("bob").shell("mv letter other; echo infected by bob > other");
    await waitFor("bob's is told of", () => user.lines.length === 1);
    assertEquals([only.share("bob").has("other"), only.share("ann").has("letter")], [false, true]);
    annsAnswer.resolve();
    await waitFor("so is ann's", () => user.lines.length === 2);
    await allHaveClean(only, "letter");
  },
);

for (const what of ["a file", "a directory"]) {
  testOnEachFilesystem(
    `I3: ${what} moved into a new directory, and infected there`,
    async (kind) => {
      // Long enough for a busy machine to watch the new directory meanwhile; by default it is a second.
      await using world = await World.start(kind, {
        channels: { docs: { more: { debounceMs: 300 } } },
      });
      const { only } = world;
      const ann = only.share("ann");
      await ann.write("dir/letter", CLEAN);
      await only.settled();
      const from = what === "a file" ? "dir/letter" : "dir";
      Deno.mkdirSync(ann.at("new"));
      Deno.renameSync(ann.at(from), ann.at("new/moved"));
      Deno.writeFileSync(ann.at(what === "a file" ? "new/moved" : "new/moved/letter"), EICAR);
      await waitFor("the malware is found", () => world.user.lines.length > 0);
      // Under its former name, or under the new one where the new directory was watched in time.
      await comesBackToAll(only);
    },
  );
}

const MOVES = [
  [
    "out of a directory that was just renamed",
    "mv d f; mkdir -p d/L; mv f/e/letter d/L/x",
    "d/L/x",
  ],
  ["out of one that was renamed twice", "mv d f; mv f g; mv g/e/letter x", "x"],
  ["by way of another name", "mv d/e/letter x; mkdir new; mv x new/x", "new/x"],
  [
    "into a new directory, out of it, and on",
    "mv d/e/letter x; mkdir d/e/n; mv x d/e/n/x; mv d/e/n/x y; mv y z",
    "z",
  ],
  ["between new directories", "mkdir h; mv d h/f; mkdir h/i; mv h/f/e/letter h/i/x", "h/i/x"],
] as const;

for (const [what, moves, end] of MOVES) {
  testOnEachFilesystem(`I3: moved ${what}, and infected at once`, async (kind) => {
    await using world = await World.start(kind, { channels: { docs: {} } });
    const { only } = world;
    const ann = only.share("ann");
    const malware = `${scratchDirectory("malware")}/malware`;
    Deno.writeFileSync(malware, EICAR);
    for (let time = 0; time < 4; time++) {
      await ann.write(`${time}/d/e/letter`, CLEAN);
      await only.settled();
      const isHeld = time % 2 === 1;
      if (isHeld) world.gate.signal("SIGSTOP"); // it learns of everything at once
      await ann.shell(`${moves}; cat ${malware} > ${end}`, `${time}`);
      if (isHeld) world.gate.signal("SIGCONT");
      await waitFor("the malware is found", () => world.user.lines.length > time);
      await comesBackToAll(only);
      await ann.shell(`rm -r ${time}`);
      await only.settled();
    }
  });
}
