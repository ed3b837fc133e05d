/**
 * What was clean everywhere is kept, though its file was renamed and became malware there, whatever has its former name
 * since, and whatever is in the way of the new one where others are to get it (I3).
 */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals } from "@std/assert";
import { marked } from "../support/command.ts";
import { EICAR } from "../support/eicar.ts";
import { testOnEachFilesystem } from "../support/fixture.ts";
import type { Share } from "../support/share.ts";
import { sleep, waitFor } from "../support/wait.ts";
import { World } from "../support/world.ts";

const ROOMS = [0, 1, 2, 3];

function move(share: Share, from: string, to: string): void {
  Deno.renameSync(share.at(from), share.at(to));
}

async function allKeep(world: World, ...contents: readonly string[]): Promise<void> {
  for (const content of contents) {
    assertEquals(await world.only.peersWithout(content), [], `${content}\n${world.gate.tail()}`);
  }
}

async function comesBack(world: World, malware: number, ...contents: readonly string[]) {
  await waitFor("the malware is found", () => world.user.lines.length >= malware);
  await world.only.quiet();
  await world.only.settled();
  await allKeep(world, ...contents);
}

const REPLACED: Readonly<Record<string, { act(ann: Share): void; kept: readonly string[] }>> = {
  "a new file": {
    act: (ann) => {
      move(ann, "a", "b");
      Deno.writeTextFileSync(ann.at("a"), "new");
      ann.infect("b");
    },
    kept: ["content of a"],
  },
  "a new file, made after the infection": {
    act: (ann) => {
      move(ann, "a", "b");
      ann.infect("b");
      Deno.writeTextFileSync(ann.at("a"), "new");
    },
    kept: ["content of a"],
  },
  "what an editor saved, which keeps the former version": {
    act: (ann) => {
      move(ann, "a", "b");
      Deno.writeTextFileSync(ann.at("a~"), "new");
      move(ann, "a~", "a");
      ann.infect("b");
    },
    kept: ["content of a"],
  },
  "another file that all have": {
    act: (ann) => {
      move(ann, "a", "b");
      move(ann, "c", "a");
      ann.infect("b");
    },
    kept: ["content of a", "content of c"],
  },
  "the other one of an exchange": {
    act: (ann) => {
      ann.exchange("a", "c");
      ann.infect("c");
    },
    kept: ["content of a", "content of c"],
  },
  "that of an exchanged directory": {
    act: (ann) => {
      ann.exchange("d", "e");
      ann.infect("d/file");
    },
    kept: ["content of d/file", "content of e/file"],
  },
};

for (const [what, { act, kept }] of Object.entries(REPLACED)) {
  for (const when of ["", " while the gate is down"]) {
    testOnEachFilesystem(
      `I3: renamed and infected${when}; its former name has ${what}`,
      async (kind) => {
        await using world = await World.start(kind, { channels: { docs: {} } });
        const ann = world.only.share("ann");
        for (const name of ["a", "c", "d/file", "e/file", "d/another"]) {
          await ann.write(name, `content of ${name}`);
        }
        await world.only.settled();
        if (when !== "") await world.gate.term();
        act(ann);
        if (when !== "") await world.startGate();
        await comesBack(world, 1, ...kept);
      },
    );
  }
}

testOnEachFilesystem(
  "I3: a crash comes just after a directory was exchanged that has another file in place of what is infected",
  async (kind) => {
    await using world = await World.start(kind, {
      channels: { docs: {} },
      gate: { arguments: ["--debug"] },
    });
    const ann = world.only.share("ann");
    for (const name of ["d/file", "a", "c"]) await ann.write(name, `content of ${name}`);
    await world.only.settled();
    world.clamd.freeze();
    ann.exchange("a", "d/file");
    ann.exchange("c", "d");
    ann.infect("a");
    await world.gate.logged(/docs: rename: c, share\/ann/);
    world.gate.signal("SIGKILL");
    await world.gate.exit();
    await world.startGate();
    world.clamd.thaw();
    await comesBack(world, 1, ...["d/file", "a", "c"].map((name) => `content of ${name}`));
  },
);

testOnEachFilesystem(
  "I3: infected under its new name before it got there, which waits for another one's verdict",
  async (kind) => {
    await using world = await World.start(kind, { channels: { docs: {} } });
    const ann = world.only.share("ann");
    for (const name of ["a", "b", "c"]) await ann.write(name, `content of ${name}`);
    await world.only.settled();
    world.clamd.freeze();
    // On XFS an exchanged file is the version that it was, and needs no scan.
    ann.exchange("a", "b");
    ann.exchange("b", "c");
    move(ann, "b", "new");
    await sleep(500);
    ann.infect("c");
    world.clamd.thaw();
    await comesBack(world, 1, "content of a", "content of b", "content of c");
  },
);

testOnEachFilesystem(
  "I3: many files take each other's names in a row, and some are infected while the last is still being scanned",
  async (kind) => {
    await using world = await World.start(kind, { channels: { docs: {} } });
    const { only } = world;
    const ann = only.share("ann");
    const count = 10;
    const contents = Array.from({ length: count - 1 }, (_, i) => `content ${i + 1}.`);
    for (const [i, content] of contents.entries()) await ann.write(`f${i + 1}`, content);
    await ann.shell(`head -c 24000000 /dev/urandom > f${count}`);
    await only.settled();
    await ann.shell(`
      for i in $(seq ${count} -1 1); do mv f$i f$((i+1)); done
      echo new > f1
    `);
    await waitFor("f1", async () => await only.export.readText("f1") === "new\n");
    for (const name of ["f2", "f3", "f4"]) ann.infect(name);
    await comesBack(world, 3, ...contents);
  },
);

testOnEachFilesystem(
  "I3: with infectedAction log: renamed and infected, and its former name has a new file",
  async (kind) => {
    await using world = await World.start(kind, {
      channels: { docs: { scanning: { infectedAction: "log" } } },
      unequal: ["docs"],
    });
    const { only } = world;
    const ann = only.share("ann");
    await ann.write("a", "content of a");
    await only.settled();
    await ann.shell("mv a b");
    ann.infect("b");
    await ann.shell("echo new > a");
    await waitFor("the new one", async () => await only.export.readText("a") === "new\n");
    await only.quiet();
    await allKeep(world, "content of a");
  },
);

testOnEachFilesystem(
  "a write-only producer's new file does not wait for what had its name, which is its own affair",
  async (kind) => {
    await using world = await World.start(kind, {
      channels: { docs: { diodeProducers: ["cid"] } },
    });
    const { only } = world;
    const [ann, cid] = [only.share("ann"), only.share("cid")];
    await cid.write("log", "started");
    await waitFor("it is there", () => ann.has("log") && only.export.has("log"));
    await only.quiet();
    await ann.shell("rm log");
    await waitFor("ann has fetched it", () => !only.export.has("log"));
    await cid.shell("mv log log.1; echo new > log");
    await waitFor("the new one", () => only.export.has("log"), 20_000);
  },
);

testOnEachFilesystem(
  "a new log does not wait until the former one is written no more, as soon as others have that",
  async (kind) => {
    await using world = await World.start(kind, { channels: { docs: {} } });
    const { only } = world;
    const ann = only.share("ann");
    await ann.write("log", "started");
    await only.settled();
    const writer = new Deno.Command("sh", {
      args: ["-c", "exec 3>>log; while :; do echo line >&3; done"],
      cwd: ann.path,
      env: marked(),
    }).spawn();
    try {
      await waitFor("it is written", () => Deno.statSync(ann.at("log")).size > 1000);
      await ann.shell("mv log log.1; echo new > log");
      // What never comes there is waited for for 30 s.
      const isNew = async () => await only.export.readText("log") === "new\n";
      await waitFor("the new log has arrived", isNew, 20_000);
    } finally {
      writer.kill("SIGKILL");
      await writer.status;
    }
    await only.settled();
  },
);

testOnEachFilesystem(
  "two files that exchange their names with each other, both clean, need not wait for each other",
  async (kind) => {
    await using world = await World.start(kind, { channels: { docs: {} } });
    const { only } = world;
    const ann = only.share("ann");
    for (const name of ["a", "c"]) await ann.write(name, `content of ${name}`);
    await only.settled();
    ann.exchange("a", "c");
    await waitFor(
      "both are everywhere",
      async () => await only.export.readText("a") === "content of c",
    );
    await only.settled();
    assertEquals(await only.share("bob").readText("c"), "content of a");
  },
);

for (const isInfected of [false, true]) {
  testOnEachFilesystem(
    `I3: a directory takes the name of a file that was renamed in an outage${
      isInfected ? ", and what is in it is infected" : ": all keep what is in it"
    }`,
    async (kind) => {
      await using world = await World.start(kind, { channels: { docs: {} } });
      const { only } = world;
      const ann = only.share("ann");
      await ann.write("d/letter", "the letter");
      await ann.write("f", "the file");
      await only.settled();
      await world.clamd.kill();
      move(ann, "f", "t");
      await sleep(150);
      move(ann, "d", "f");
      await sleep(700);
      if (isInfected) ann.infect("f/letter");
      else await allKeep(world, "the letter", "the file");
      await world.clamd.start();
      if (isInfected) return await comesBack(world, 1, "the letter", "the file");
      await waitFor("they arrive", () => only.export.has("f/letter") && only.export.has("t"));
      await only.settled();
      await allKeep(world, "the letter", "the file");
    },
  );
}

testOnEachFilesystem(
  "I3: a directory and a file take each other's names in steps, and what is in it is infected",
  async (kind) => {
    await using world = await World.start(kind, { channels: { docs: {} } });
    const { only } = world;
    const ann = only.share("ann");
    for (const at of ROOMS) {
      await ann.write(`${at}/d/letter`, `letter ${at}.`);
      await ann.write(`${at}/e/other`, `other ${at}.`);
      await ann.write(`${at}/f`, `file ${at}.`);
    }
    await only.settled();
    for (const at of ROOMS) {
      move(ann, `${at}/d`, `${at}/t`);
      move(ann, `${at}/e`, `${at}/d`);
      move(ann, `${at}/f`, `${at}/e`);
      move(ann, `${at}/t`, `${at}/f`);
      await sleep(90 + 25 * at);
      ann.infect(`${at}/f/letter`);
      await sleep(200);
    }
    await comesBack(world, ROOMS.length, ...ROOMS.map((at) => `letter ${at}.`));
  },
);

testOnEachFilesystem(
  "I3: a directory takes the name of a file, which goes into it, and what is in it is infected",
  async (kind) => {
    await using world = await World.start(kind, { channels: { docs: {} } });
    const ann = world.only.share("ann");
    for (const at of ROOMS) {
      await ann.write(`${at}/d/letter`, `letter ${at}.`);
      await ann.write(`${at}/f`, `file ${at}.`);
    }
    await world.only.settled();
    for (const at of ROOMS) {
      ann.exchange(`${at}/d`, `${at}/f`);
      move(ann, `${at}/d`, `${at}/f/file`);
      await sleep(5 + 50 * at);
      ann.infect(`${at}/f/letter`);
    }
    const contents = ROOMS.flatMap((at) => [`letter ${at}.`, `file ${at}.`]);
    await comesBack(world, ROOMS.length, ...contents);
  },
);

testOnEachFilesystem(
  "I3: a new directory takes the name of another one, goes on changing, and what goes into it is infected",
  async (kind) => {
    await using world = await World.start(kind, { channels: { docs: {} } });
    const ann = world.only.share("ann");
    for (const at of ROOMS) {
      await ann.write(`${at}/d/other`, `other ${at}.`);
      await ann.write(`${at}/letter`, `letter ${at}.`);
    }
    await world.only.settled();
    world.gate.signal("SIGSTOP"); // it watches the new one when all is done
    for (const at of ROOMS) {
      Deno.mkdirSync(ann.at(`${at}/n`));
      ann.exchange(`${at}/d`, `${at}/n`);
      move(ann, `${at}/letter`, `${at}/d/letter`);
      ann.infect(`${at}/d/letter`);
    }
    world.gate.signal("SIGCONT");
    for (let change = 0; change < 10; change++) {
      await sleep(30);
      for (const at of ROOMS) Deno.chmodSync(ann.at(`${at}/d`), change % 2 === 0 ? 0o700 : 0o755);
    }
    const contents = ROOMS.flatMap((at) => [`letter ${at}.`, `other ${at}.`]);
    await comesBack(world, ROOMS.length, ...contents);
  },
);

testOnEachFilesystem(
  "I3: a directory is exchanged for a file while another guest writes into it, and then infected",
  async (kind) => {
    await using world = await World.start(kind, { channels: { docs: {} } });
    const { only } = world;
    const [ann, bob] = [only.share("ann"), only.share("bob")];
    for (const at of ROOMS) {
      await ann.write(`${at}/d/letter`, `letter ${at}.`);
      await ann.write(`${at}/f`, `file ${at}.`);
    }
    await only.settled();
    for (const at of ROOMS) {
      await bob.write(`${at}/d/new`, "new");
      ann.exchange(`${at}/d`, `${at}/f`);
      await sleep(80 + 30 * at);
      ann.infect(`${at}/f/letter`);
      await sleep(100);
    }
    await comesBack(world, ROOMS.length, ...ROOMS.map((at) => `letter ${at}.`));
  },
);

for (const when of ["in an outage", "and is infected at once", "and is infected later"]) {
  testOnEachFilesystem(
    `I3: a file takes the place of the directory that it was in ${when}`,
    async (kind) => {
      await using world = await World.start(kind, { channels: { docs: {} } });
      const { only } = world;
      const ann = only.share("ann");
      await ann.write("t/letter", "the letter");
      await only.settled();
      if (when === "in an outage") {
        await world.clamd.kill();
        await world.gate.reload(); // no verdict is remembered
      }
      move(ann, "t/letter", "x");
      Deno.removeSync(ann.at("t"));
      move(ann, "x", "t");
      if (when === "in an outage") {
        await sleep(2000);
        return await allKeep(world, "the letter");
      }
      if (when === "and is infected later") await sleep(130);
      ann.infect("t");
      await comesBack(world, 1, "the letter");
    },
  );
}

testOnEachFilesystem(
  "I3: a file takes the place of its directory, which cannot go elsewhere, and is infected when it was clean",
  async (kind) => {
    const scanning = { ignoreFilePatterns: ["*.part"] };
    await using world = await World.start(kind, {
      channels: { docs: { scanning } },
      unequal: ["docs"], // an ignored file stays where it is
    });
    const { only } = world;
    const ann = only.share("ann");
    await ann.write("t/letter", "the letter");
    await only.settled();
    await only.share("bob").write("t/download.part", "half of it");
    move(ann, "t/letter", "x");
    Deno.removeSync(ann.at("t"));
    move(ann, "x", "t");
    await waitFor("the others give up the former name", () => !only.export.has("t/letter"));
    ann.infect("t");
    await waitFor("the malware is found", () => world.user.lines.length === 1);
    await waitFor(
      "the letter is everywhere",
      async () => (await only.peersWithout("the letter")).length === 0,
    );
  },
);

testOnEachFilesystem(
  "I3: a file leaves a directory by an exchange in an outage, takes its place by another, and is infected",
  async (kind) => {
    await using world = await World.start(kind, { channels: { docs: {} } });
    const { only } = world;
    const ann = only.share("ann");
    await ann.write("t/a", "content of a");
    await ann.write("t/b", "content of b");
    await only.settled();
    await world.clamd.kill();
    Deno.mkdirSync(ann.at("n"));
    ann.exchange("t/a", "n");
    await sleep(100);
    ann.infect("n");
    await sleep(70);
    ann.exchange("t", "n");
    await sleep(1500);
    await world.clamd.start();
    await comesBack(world, 1, "content of a", "content of b");
  },
);

const THROUGH_NEW: Readonly<Record<string, { act(ann: Share): void; malware: string }>> = {
  "in a directory that went into a new one, by an exchange there": {
    act: (ann) => {
      move(ann, "d/e/letter", "other/x");
      move(ann, "other", "d/other");
      Deno.mkdirSync(ann.at("n"));
      move(ann, "d", "n/d");
      ann.exchange("n/d/e", "n/d/other");
      move(ann, "n/d/e/x", "x");
    },
    malware: "x",
  },
  "by an exchange of its directory in a new one for another": {
    act: (ann) => {
      Deno.mkdirSync(ann.at("n"));
      move(ann, "d", "n/d");
      ann.exchange("n/d", "other");
    },
    malware: "other/e/letter",
  },
  "by an exchange in a new directory for another file": {
    act: (ann) => {
      Deno.mkdirSync(ann.at("n"));
      move(ann, "d/e/letter", "n/letter");
      ann.exchange("n/letter", "other/file");
    },
    malware: "other/file",
  },
};

for (const [how, { act, malware }] of Object.entries(THROUGH_NEW)) {
  testOnEachFilesystem(
    `I3: a file comes to its new name ${how}, before that is watched, and is infected`,
    async (kind) => {
      await using world = await World.start(kind, { channels: { docs: {} } });
      const ann = world.only.share("ann");
      for (const name of ["d/e/letter", "other/file"]) {
        await ann.write(name, `content of ${name}`);
      }
      await world.only.settled();
      world.gate.signal("SIGSTOP");
      act(ann);
      ann.infect(malware);
      world.gate.signal("SIGCONT");
      await comesBack(world, 1, "content of d/e/letter", "content of other/file");
    },
  );
}

testOnEachFilesystem(
  "two files take the places of each other's directories",
  async (kind) => {
    await using world = await World.start(kind, { channels: { docs: {} } });
    const { only } = world;
    const ann = only.share("ann");
    await ann.write("A/f", "content of f");
    await ann.write("B/g", "content of g");
    await only.settled();
    await ann.shell("mv A/f t1; mv B/g t2; rmdir A B; mv t1 B; mv t2 A");
    await waitFor(
      "they are everywhere",
      async () => await only.export.readText("A") === "content of g",
    );
    await only.settled();
    assertEquals(await only.share("bob").readText("B"), "content of f");
  },
);

testOnEachFilesystem(
  "I3: a renamed file is not removed where its new name cannot be written",
  async (kind) => {
    await using world = await World.start(kind, { channels: { docs: {} } });
    const { only } = world;
    await only.share("ann").write("new/other", "other");
    await only.share("ann").write("f", "content");
    await only.settled();
    const others = [only.share("bob"), only.share("cid"), only.export];
    for (const other of others) await other.shell("chattr +i new");
    try {
      move(only.share("ann"), "f", "new/f");
      await waitFor("it is told", () => world.gate.log.includes("new/f cannot be written"));
      await sleep(500);
      for (const other of others) assertEquals(await other.readText("f"), "content", other.name);
    } finally {
      for (const other of others) await other.shell("chattr -i new");
    }
    await waitFor("it arrives", () => others.every((other) => other.has("new/f")));
    await only.settled();
  },
);

/** What becomes of the directory `old` then, and where it is afterwards. */
const MOVED: Readonly<Record<string, { before?: string; then: string; now: string }>> = {
  "another name": { then: "mv old new", now: "new" },
  "another name, and a new one its own": { then: "mv old new; mkdir old", now: "new" },
  "another's name, which gets its own": {
    before: "mkdir other",
    then: "mv old t; mv other old; mv t other",
    now: "other",
  },
  "another name, after it was replaced": {
    before: "cp -a old t; rm -r old; mv t old",
    then: "mv old new",
    now: "new",
  },
};

for (const [what, { before = "true", then, now }] of Object.entries(MOVED)) {
  testOnEachFilesystem(
    `I3: malware takes a file's place, and their directory ${what}, while the daemon is down: the clean version stays`,
    async (kind) => {
      await using world = await World.start(kind, { channels: { docs: {} } });
      const { only } = world;
      const ann = only.share("ann");
      for (const path of ["old/letter", "old/deep/letter"]) await ann.write(path, "Dear Bob");
      await only.settled();
      await ann.shell(before);
      await only.quiet();
      await only.settled();
      await world.gate.term();
      for (const path of ["old/letter", "old/deep/letter"]) {
        await ann.write(`${path}.new`, EICAR);
        await ann.shell(`mv ${path}.new ${path}`);
      }
      // A file system may give the removed file's inode to another new one.
      await ann.shell("echo news > old/news; mv old/news news");
      await ann.shell(then);
      await world.startGate();
      await waitFor("the malware is gone", async () => {
        return (await only.infectedElsewhere()).length === 0;
      });
      await only.quiet();
      await only.settled();
      assertEquals(await only.peersWithout("Dear Bob"), []);
      for (const path of ["letter", "deep/letter"]) {
        const places = [`old/${path}`, `${now}/${path}`];
        assert(places.some((place) => only.export.has(place)), `${path} is lost`);
      }
      await world.verify();
    },
  );
}

testOnEachFilesystem(
  "I3: malware takes a file's place, and the directory that of one with such a file, while the daemon is down: both stay",
  async (kind) => {
    await using world = await World.start(kind, { channels: { docs: {} } });
    const { only } = world;
    const ann = only.share("ann");
    for (const path of ["d/file", "e/file"]) await ann.write(path, `content of ${path}`);
    await only.settled();
    await world.gate.term();
    await ann.write("d/file.new", EICAR);
    await ann.shell("mv d/file.new d/file");
    ann.exchange("d", "e");
    await world.startGate();
    await waitFor("the malware is gone", async () => {
      return (await only.infectedElsewhere()).length === 0;
    });
    await only.quiet();
    await only.settled();
    await allKeep(world, "content of d/file", "content of e/file");
  },
);
