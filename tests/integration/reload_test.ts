/** SIGHUP: a changed configuration is used without an end of the process, a faulty one is not. */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals } from "@std/assert";
import { Daemon } from "../support/daemon.ts";
import { EICAR } from "../support/eicar.ts";
import { testOnEachFilesystem } from "../support/fixture.ts";
import { Gate, type GateOptions } from "../support/gate.ts";
import { telling } from "../support/notified_guests.ts";
import { scratchDirectory } from "../support/scratch.ts";
import { sleep, waitFor } from "../support/wait.ts";
import { World } from "../support/world.ts";

/** Numbers of the descriptors that a process holds. */
const descriptors = (pid: number) => [...Deno.readDirSync(`/proc/${pid}/fd`)].length;

testOnEachFilesystem(
  "a channel that was added is served after a reload, one taken out is not",
  async (
    kind,
  ) => {
    await using world = await World.prepare(kind, { channels: { docs: {}, mail: {} } });
    await world.clamd.start();
    const { docs, mail } = world.configuration;
    const gate = await world.startGate({ configuration: { docs } });
    const inDocs = world.channel("docs").share("ann");
    const inMail = world.channel("mail").share("ann");
    await inDocs.write("first", "1");
    await world.channel("docs").settled();

    gate.configure({ docs, mail });
    await gate.reload();
    await inDocs.write("second", "2");
    await inMail.write("letter", "Dear Bob");
    await waitFor(
      "both are served",
      () =>
        world.channel("docs").export.has("second") && world.channel("mail").export.has("letter"),
    );

    gate.configure({ mail });
    await gate.reload();
    await inDocs.write("third", "3");
    await inMail.write("reply", "Dear Ann");
    await world.channel("mail").settled();
    assert(!world.channel("docs").export.has("third"));

    const said = gate.serviceManager.said();
    const changes = said.filter((line) => /^(READY|RELOADING|STOPPING)=/.test(line));
    const reload = ["RELOADING=1", "READY=1"];
    assertEquals(changes, ["READY=1", ...reload, ...reload]);
    const since = said.filter((line) => /^MONOTONIC_USEC=\d+$/.test(line));
    assertEquals(new Set(since).size, 2, "systemd tells reloads apart by the time");
    assertEquals((await gate.term()).code, 0, gate.tail());
  },
);

testOnEachFilesystem(
  "a configuration with faults is named and not used, until it is mended",
  async (
    kind,
  ) => {
    await using world = await World.start(kind, { channels: { docs: {} } });
    const { gate, only } = world;
    const { docs } = world.configuration;
    const bad: readonly [configuration: unknown, named: RegExp][] = [
      ["{ docs", /is not JSON: line 1/],
      [{}, /holds no channel/],
      // The good one stays as it is: it is not ended for the other's fault.
      [{ docs, mail: { basePath: "mail", producers: ["ann"] } }, /mail.*basePath/],
      [
        { docs, mail: { basePath: "/nowhere/mail", producers: ["ann"] } },
        /\/nowhere\/mail does not/,
      ],
    ];
    await gate.logged(/serving/);
    for (const [index, [configuration, named]] of bad.entries()) {
      gate.configure(configuration);
      gate.mark();
      await gate.reload();
      await waitFor("the refusal is logged", () => /is not used/.test(gate.recentLog));
      assert(named.test(gate.recentLog), `${named} in\n${gate.recentLog}`);
      assert(!/serving/.test(gate.recentLog), "it was not started anew");
      await only.share("ann").write(`after-${index}`, "x");
      await waitFor("it goes on", () => only.export.has(`after-${index}`));
    }
    assert(
      gate.serviceManager.said().findLast((line) => /^STATUS=/.test(line))?.includes("faults"),
    );
    gate.configure({ docs });
    gate.mark();
    await gate.reload();
    await waitFor("it serves anew", () => /serving/.test(gate.recentLog));
    assert(
      !gate.serviceManager.said().findLast((line) => /^STATUS=/.test(line))?.includes("faults"),
    );
    await only.settled();
  },
);

testOnEachFilesystem("I3: what is written during reloads arrives; nothing is scanned again", async (
  kind,
) => {
  await using world = await World.start(kind, { channels: { docs: {} } });
  const { gate, only } = world;
  await only.share("ann").write("before", "x");
  await only.settled();
  const held = descriptors(gate.child.pid);
  const writing = only.share("bob").shell(
    "mkdir d; for i in $(seq 60); do echo $i > d/$i; sleep 0.05; done",
  );
  for (let i = 0; i < 3; i++) await gate.reload();
  await writing;
  await only.settled();
  assertEquals(only.export.list("d").length, 60);
  assertEquals(only.export.list().filter((name) => /conflict/.test(name)), []);

  const { scans } = world.clamd;
  await gate.reload();
  await only.settled();
  assertEquals(world.clamd.scans, scans, "an unchanged tree is known");
  // One directory more is watched, and held, than before.
  assertEquals(gate.status, undefined, "it is still the same process");
  assert(descriptors(gate.child.pid) <= held + 3, "no descriptor outlives a reload");
});

testOnEachFilesystem(
  "I3: everything that was deleted in the last moment before a reload stays deleted",
  async (kind) => {
    await using world = await World.start(kind, {
      channels: { docs: { more: { debounceMs: 1000 } } },
    });
    const { gate, only } = world;
    await only.share("ann").shell("mkdir d; echo 1 > d/1; echo 2 > 2");
    await only.settled();
    await only.share("ann").shell("rm -rf d 2");
    await gate.reload();
    await only.settled();
    assertEquals(only.export.list(), []);
    assert(!/had files before/.test(gate.log), gate.tail());
  },
);

testOnEachFilesystem(
  "I3: a producer that is taken out and put in again learns what was deleted and changed meanwhile",
  async (kind) => {
    await using world = await World.start(kind, { channels: { docs: {} } });
    const { gate, only } = world;
    const { docs } = world.configuration;
    const [ann, bob, cid] = ["ann", "bob", "cid"].map((name) => only.share(name));
    assert(ann !== undefined && bob !== undefined && cid !== undefined);
    await ann.shell("mkdir d; for f in deleted changed kept d/deleted; do echo 1 > $f; done");
    await only.settled();
    gate.configure({ docs: { ...Object(docs), producers: ["ann", "bob"] } });
    await gate.reload();
    await ann.shell("rm deleted d/deleted; echo 2, newer > changed");
    await waitFor(
      "bob has it",
      async () =>
        !bob.has("deleted") && !bob.has("d/deleted") &&
        await bob.readText("changed") === "2, newer\n",
    );
    await cid.shell("echo mine > own; rm -f kept");
    gate.configure({ docs });
    await gate.reload();
    await only.settled();
    assertEquals([only.export.list(), only.export.list("d")], [["changed", "d", "own"], []]);
    assertEquals(await cid.readText("changed"), "2, newer\n");
  },
);

for (const how of ["SIGHUP", "SIGTERM"] as const) {
  testOnEachFilesystem(
    `I1: a scan that ${how} cuts off is no scan error, nobody is told of one, and it is begun anew`,
    async (kind) => {
      await using world = await World.start(kind, {
        channels: { docs: { scanning: { permissive: true } } },
      });
      const { clamd, gate, only, user } = world;
      clamd.freeze();
      await only.share("ann").write("evil", EICAR);
      await sleep(500); // it is being scanned
      gate.mark();
      if (how === "SIGHUP") await gate.reload();
      else await gate.term();
      assertEquals(user.lines, []);
      assert(!/could not be scanned|UNSCANNED|cannot be used/.test(gate.recentLog), gate.tail());
      if (how === "SIGTERM") await world.startGate();
      clamd.thaw();
      await waitFor("it is found", () => user.lines.length > 0);
      await only.settled();
      assert(!only.export.has("evil"));
    },
  );
}

testOnEachFilesystem(
  "I3: what a producer had while it was write-only is news when it is no more",
  async (kind) => {
    await using world = await World.start(kind, {
      channels: { docs: { producers: ["ann", "bob", "web"], diodeProducers: ["web"] } },
    });
    const { gate, only } = world;
    const [ann, web] = [only.share("ann"), only.share("web")];
    await ann.write("differing", "by ann");
    await web.write("download", "kept by web");
    await web.shell("mkdir -p deep/empty; echo 1 > deep/file");
    await only.settled();
    await web.write("differing", "by web, later");
    await ann.shell("rm -r download deep");
    await waitFor("it is gone", () => !only.export.has("download") && !only.export.has("deep"));
    await only.quiet();

    const { docs } = world.configuration;
    gate.configure({ docs: { ...Object(docs), diodeProducers: [] } });
    await gate.reload();
    const places = ["ann", "bob", "web", "export"].map((name) => only.share(name));
    await waitFor(
      "all have what it has",
      () =>
        ["download", "deep/empty", "deep/file"].every((name) =>
          places.every((place) => place.has(name))
        ),
    );
    await only.settled();
    await web.shell("rm deep/file");
    await waitFor("its deletions travel now", () => !only.export.has("deep/file"));
    await only.settled();
    const kept = ann.list().find((name) => name.startsWith("differing.sync-conflict-")) ?? "";
    for (const place of places) {
      assertEquals(await place.readText("download"), "kept by web");
      assertEquals(await place.readText("differing"), "by web, later");
      assertEquals(await place.readText(kept), "by ann");
    }
  },
);

testOnEachFilesystem(
  "I3: what the others did while a producer was write-only reaches it when it is no more",
  async (kind) => {
    await using world = await World.start(kind, {
      channels: { docs: { producers: ["ann", "bob", "web"] } },
    });
    const { gate, only } = world;
    const [ann, web] = [only.share("ann"), only.share("web")];
    await ann.shell("echo 1 > changed; echo 1 > removed-by-web; echo 1 > both");
    await only.settled();
    const { docs } = world.configuration;
    gate.configure({ docs: { ...Object(docs), diodeProducers: ["web"] } });
    await gate.reload();
    await ann.write("changed", "by ann");
    await web.shell("rm removed-by-web; echo later, by web > both");
    await only.quiet();
    assertEquals(await web.readText("changed"), "1\n");
    assertEquals(await ann.readText("both"), "1\n");

    gate.configure({ docs });
    await gate.reload();
    await waitFor("web has the change", async () => await web.readText("changed") === "by ann");
    await only.settled();
    assertEquals(await web.readText("removed-by-web"), "1\n");
    assertEquals(await ann.readText("both"), "later, by web\n");
    assertEquals(only.export.list().filter((name) => /^changed\./.test(name)), []);
  },
);

testOnEachFilesystem(
  "what is ignored since a reload stays in the export, until what is above it goes or is replaced",
  async (kind) => {
    await using world = await World.start(kind, {
      channels: { docs: { producers: ["ann"], consumers: ["reader"] } },
    });
    const { gate, only } = world;
    await only.share("ann").shell(`
      for d in replaced removed; do
        mkdir -p $d/cache/deep; echo 1 > $d/a.tmp; echo 1 > $d/b; echo 1 > $d/cache/deep/1
      done
    `);
    await only.settled();
    const { docs } = world.configuration;
    const scanning = { ignoreFilePatterns: ["*.tmp"], ignorePathPatterns: ["*/cache"] };
    gate.configure({ docs: { ...Object(docs), scanning } });
    await gate.reload();
    await only.quiet();
    assertEquals(only.export.list("replaced"), ["a.tmp", "b", "cache"]);
    await only.share("ann").shell("rm -r replaced removed; echo a file > replaced");
    await waitFor(
      "both have happened",
      async () =>
        await only.export.readText("replaced") === "a file\n" && !only.export.has("removed"),
    );
    await only.settled();
  },
);

testOnEachFilesystem(
  "requests in quick succession, while it starts and while it stops, do no harm",
  async (
    kind,
  ) => {
    await using world = await World.start(kind, { channels: { docs: {} } });
    const { gate, only } = world;
    const { docs } = world.configuration;
    for (let i = 0; i < 40; i++) {
      gate.signal("SIGHUP");
      await sleep(i * 2 % 37);
    }
    // Whatever was signalled last was also read last.
    gate.configure({ docs, mail: 1 });
    gate.signal("SIGHUP");
    await gate.logged(/mail.*expected an object/i);
    gate.configure({ docs });
    await gate.reload();
    await only.share("ann").write("after", "x");
    await only.settled();

    gate.signal("SIGHUP");
    gate.signal("SIGTERM");
    gate.signal("SIGHUP");
    const { code, signal } = await gate.exit();
    assertEquals([code, signal], [0, null], gate.tail());
  },
);

testOnEachFilesystem(
  "what a guest that was away is still to be told of is told after a reload",
  async (kind) => {
    const uds = `${scratchDirectory("guests")}/bob`;
    await using world = await World.start(kind, telling([`${uds}_3401`]));
    const { only, gate } = world;
    const bob = only.share("bob");
    const isTold = () => bob.has(".virtiofs-refresh");
    await only.share("ann").write("file", "x");
    await gate.logged(/cannot be notified of changes/);
    const guest = ["--uds", uds, "--map", `docs=${bob.path}`];
    await using _notify = await Daemon.start("notify", guest);
    assert(!isTold(), "it is left alone for a while");
    await gate.reload();
    await waitFor("it was told", isTold);
    await gate.reload();
    await sleep(1000);
    assert(isTold(), "and only once");
  },
);

testOnEachFilesystem("a request while it starts is not lost, and does not end it", async (kind) => {
  await using world = await World.prepare(kind, { channels: { docs: {}, mail: {} } });
  await world.clamd.start();
  const { docs, mail } = world.configuration;
  await using gate = await stoppedWhileItStarts({
    configuration: { docs },
    clamdSocket: world.clamd.socket,
  });
  gate.configure({ docs, mail });
  gate.signal("SIGHUP");
  gate.signal("SIGCONT");

  await waitFor("it is ready, and then once more", () => gate.timesReady === 2);
  const changes = gate.serviceManager.said().filter((line) => /^(READY|RELOADING)=/.test(line));
  assertEquals(changes, ["READY=1", "RELOADING=1", "READY=1"]);
  await world.channel("mail").share("ann").write("letter", "Dear Bob");
  await world.channel("mail").settled();
  assert(world.channel("mail").export.has("letter"));
  assertEquals((await gate.term()).code, 0, gate.tail());
});

/** A gate that listens for signals, and stands still before it is ready. */
async function stoppedWhileItStarts(options: GateOptions): Promise<Gate> {
  for (let attempt = 0; attempt < 20; attempt++) {
    const gate = Gate.launch(options);
    while (gate.status === undefined && !hasOpenedIndex(gate.child.pid)) await sleep(1);
    gate.signal("SIGSTOP");
    if (gate.timesReady === 0 && gate.status === undefined) return gate;
    await gate[Symbol.asyncDispose](); // it was quicker
  }
  throw new Error("it is always ready before it can be stopped");
}

/** Its listeners are set before that. */
function hasOpenedIndex(pid: number): boolean {
  const folder = `/proc/${pid}/fd`;
  return [...Deno.readDirSync(folder)].some(({ name }) => {
    try {
      return Deno.readLinkSync(`${folder}/${name}`).endsWith("/index.sqlite");
    } catch {
      return false; // closed meanwhile
    }
  });
}

testOnEachFilesystem(
  "what stayed as infected follows the configuration after a reload",
  async (kind) => {
    const log = { scanning: { infectedAction: "log" } };
    const channels = { removed: log, kept: log, trusted: log };
    await using world = await World.start(kind, { channels });
    const { gate, user } = world;
    for (const channel of world.channels.values()) {
      await channel.share("ann").write("letter", "clean");
      await channel.settled();
      await channel.share("ann").write("letter", EICAR);
      await channel.share("bob").write("new", EICAR);
    }
    await waitFor("the user is told of each", () => user.lines.length === 6);
    const { removed, kept, trusted } = world.configuration;
    const changed = (options: unknown, scanning: Record<string, unknown>) => ({
      ...Object(options),
      scanning: { ...Object(options).scanning, ...scanning },
    });
    gate.configure({
      removed: changed(removed, { infectedAction: "quarantine" }),
      kept,
      trusted: changed(trusted, { enable: false }),
    });
    await gate.reload();

    const quarantined = world.channel("removed");
    await waitFor("both are removed", () => !quarantined.share("bob").has("new"));
    await waitFor(
      "the clean version is back",
      async () => await quarantined.share("ann").readText("letter") === "clean",
    );
    await quarantined.settled();
    assertEquals([...Deno.readDirSync(quarantined.quarantine)].length, 4); // each with its record
    assertEquals(await quarantined.infectedElsewhere(), []);

    const { peers } = world.channel("trusted");
    const travelled = async () => {
      for (const peer of peers) {
        if (!peer.has("new") || await peer.readText("letter") === "clean") return false;
      }
      return true;
    };
    await waitFor("everything counts as clean", travelled);
    await world.channel("trusted").settled();

    assertEquals(user.lines.length, 8, "what stays is not told again");
    assertEquals(await world.channel("kept").infectedElsewhere(["ann", "bob"]), []);
    assertEquals(await world.channel("kept").export.readText("letter"), "clean");
  },
);

testOnEachFilesystem(
  "what is held while there is no scanner travels when a reload lets errors pass",
  async (kind) => {
    await using world = await World.start(kind, { channels: { docs: {} } });
    const { only, gate, clamd } = world;
    const { docs } = world.configuration;
    await clamd.kill();
    await only.share("ann").write("held", "until then");
    await gate.logged(/held/);
    await sleep(500);
    assert(!only.export.has("held"));
    const scanning = { ...Object(Object(docs).scanning), permissive: true };
    gate.configure({ docs: { ...Object(docs), scanning } });
    await gate.reload();
    await only.settled();
    assert(only.export.has("held"));
  },
);
