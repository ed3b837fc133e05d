/** The kernel's limits for inotify, reached by the whole gate: nothing is lost, and the log says what to do. */

// @ts-types="../support/assert.d.ts"
import { assert, assertMatch } from "@std/assert";
import { testOnEachFilesystem } from "../support/fixture.ts";
import {
  inotifyLimitObstacle,
  setInotifyLimit,
  withInotifyLimit,
} from "../support/inotify_limits.ts";
import { waitFor } from "../support/wait.ts";
import { World } from "../support/world.ts";

const noLimits = await inotifyLimitObstacle();
const CHANNELS = { docs: {}, other: { producers: ["dan", "eve"] } };
const PLENTY = 1000;

/** What guests do all over the trees arrives: files, renames, deletions, and empty directories. */
async function exchange(world: World, folder: string): Promise<void> {
  const docs = world.channel("docs");
  const other = world.channel("other");
  const [ann, bob, cid] = ["ann", "bob", "cid"].map((name) => docs.share(name));
  if (ann === undefined || bob === undefined || cid === undefined) throw new Error("no shares");
  await ann.shell(
    `mkdir -p ${folder}/empty; for i in $(seq 25); do mkdir ${folder}/$i; echo $i > ${folder}/$i/f; done`,
  );
  await other.share("dan").write(`${folder}/deep/er/file`, folder);
  await waitFor("the other channel goes on", () => other.export.has(`${folder}/deep/er/file`));
  await waitFor("all of it arrives", () => cid.list(folder).length === 26);
  await docs.settled();
  // In directories that were there before, some of which are not watched.
  await bob.shell(
    `cd ${folder}; for i in $(seq 5); do echo $i >> $i/f; rm $((i + 5))/f; mv $((i + 10)) m$i; done`,
  );
  await waitFor(
    "what was removed goes",
    () =>
      [6, 7, 8, 9, 10].every((i) =>
        !ann.has(`${folder}/${i}/f`) && !docs.export.has(`${folder}/${i}/f`)
      ),
  );
  await waitFor(
    "what was moved is moved",
    () =>
      [1, 2, 3, 4, 5].every((i) => !ann.has(`${folder}/${i + 10}`) && ann.has(`${folder}/m${i}/f`)),
  );
  await waitFor(
    "what was written arrives",
    async () => await cid.readText(`${folder}/5/f`) === "5\n5\n",
  );
  await docs.settled();
  await other.settled();
}

testOnEachFilesystem(
  "I3, I6: a gate with too few watches polls, says so once, and watches when it may",
  async (kind) => {
    await using world = await World.start(kind, {
      channels: CHANNELS,
      gate: { under: withInotifyLimit("watches", 12) },
    });
    await exchange(world, "below");
    const line = await world.gate.logged(/cannot be watched/);
    assert(line.includes("raise the sysctl fs.inotify.max_user_watches"), line);
    const lines = world.gate.log.split("\n").filter((line) => /cannot be watched/.test(line));
    assert(lines.length <= 10, `it is told again and again:\n${lines.join("\n")}`);
    await setInotifyLimit(world.gate.child.pid, "watches", PLENTY);
    await exchange(world, "above");
    await world.verify();
  },
  noLimits,
);

testOnEachFilesystem(
  "I3, I6: a gate with too few inotify instances polls the other shares, says so once, and watches when it may",
  async (kind) => {
    await using world = await World.start(kind, {
      channels: CHANNELS,
      gate: { under: withInotifyLimit("instances", 2) },
    });
    await exchange(world, "below");
    const line = await world.gate.logged(/is noticed at once/);
    assert(line.includes("raise the sysctl fs.inotify.max_user_instances"), line);
    await setInotifyLimit(world.gate.child.pid, "instances", PLENTY);
    await exchange(world, "above");
    await world.verify();
  },
  noLimits,
);

testOnEachFilesystem(
  "I7: a gate that leaves few inotify instances to other programs says so at its start",
  async (kind) => {
    await using world = await World.start(kind, {
      channels: CHANNELS,
      gate: { under: withInotifyLimit("instances", 20) },
    });
    const line = await world.gate.logged(/only \d+ inotify instances are left/);
    assert(line.includes("raise the sysctl fs.inotify.max_user_instances to 128"), line);
    assert(!/is noticed at once/.test(world.gate.log), world.gate.log);
    await world.verify();
  },
  noLimits,
);

const MOST_QUEUED = Number(Deno.readTextFileSync("/proc/sys/fs/inotify/max_queued_events"));

testOnEachFilesystem(
  "I3, I6: what happens while a share's event queue overflows arrives all the same",
  async (kind) => {
    await using world = await World.start(kind, { channels: CHANNELS });
    const docs = world.channel("docs");
    const other = world.channel("other");
    const [ann, bob, cid] = ["ann", "bob", "cid"].map((name) => docs.share(name));
    if (ann === undefined || bob === undefined || cid === undefined) throw new Error("no shares");
    await ann.shell(
      "mkdir flood goes stays moves; for i in $(seq 50); do for d in goes stays moves; do echo $i > $d/$i; done; done",
    );
    await docs.settled(); // and so the directories are watched

    world.gate.signal("SIGSTOP");
    // Two events at least for each of them.
    await ann.shell(`cd flood; seq ${MOST_QUEUED} | xargs -n 2000 touch`);
    // Nothing of this is told.
    await ann.shell(
      "rm -r goes; mv moves moved; for i in $(seq 50); do echo again >> stays/$i; done; " +
        "mkdir -p new/er; echo new > new/er/file; rm flood/1*",
    );
    await bob.write("stays/bob", "bob");
    await other.share("dan").write("file", "file");
    world.gate.signal("SIGCONT");

    await waitFor("another channel's file arrives", () => other.export.has("file"));
    await waitFor("another share's file arrives", () => cid.has("stays/bob"));
    await waitFor("what was removed goes", () => !cid.has("goes"));
    await waitFor(
      "what was moved is moved",
      () => !cid.has("moves") && cid.list("moved").length === 50,
    );
    await waitFor(
      "what was changed arrives",
      async () => await cid.readText("stays/50") === "50\nagain\n",
    );
    await waitFor("what is new arrives", async () => await cid.readText("new/er/file") === "new\n");
    const left = ann.list("flood").length;
    await waitFor(
      () => `${cid.list("flood").length} of ${left} arrived`,
      () => cid.list("flood").length === left,
      180_000,
    );
    const line = await world.gate.logged(/changes came faster/);
    assert(line.includes("sysctl fs.inotify.max_queued_events"), line);
    assertMatch(line, /share\/ann/);
    await world.verify();
  },
);
