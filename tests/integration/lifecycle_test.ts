/** Starting, being ready, ending: what a service manager and an administrator see. */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals, assertLess, assertMatch, assertNotMatch } from "@std/assert";
import { FakeClamd } from "../support/fake_clamd.ts";
import { testOnEachFilesystem } from "../support/fixture.ts";
import { Gate } from "../support/gate.ts";
import { watches } from "../support/open_files.ts";
import { scratchDirectory } from "../support/scratch.ts";
import { sleep, waitFor } from "../support/wait.ts";
import { World } from "../support/world.ts";

testOnEachFilesystem(
  "READY=1 once, then STOPPING=1; SIGTERM and SIGINT end it with 0",
  async (kind) => {
    await using world = await World.start(kind, { channels: { docs: {} } });
    for (const signal of ["SIGTERM", "SIGINT"] as const) {
      const gate = await world.startGate();
      await world.only.share("ann").write(`at-${signal}`, "x");
      await waitFor("it works", () => world.only.export.has(`at-${signal}`));
      const started = Date.now();
      const status = await gate.term(signal);
      assertEquals(status.code, 0, gate.tail());
      assertEquals(status.signal, null);
      assertLess(Date.now() - started, 20_000);
      const said = gate.serviceManager.said();
      assertEquals(said.filter((line) => line === "READY=1").length, 1);
      assert(said.includes("STOPPING=1"));
      assert(said.some((line) => line.startsWith("STATUS=")));
      assert(said.indexOf("READY=1") < said.indexOf("STOPPING=1"));
    }
  },
);

testOnEachFilesystem(
  "SIGTERM ends a daemon at once that waits for another to let go of its channel",
  async (kind) => {
    await using world = await World.start(kind, { channels: { docs: {} } });
    await using second = Gate.launch({
      configuration: world.configuration,
      clamdSocket: world.clamd.socket,
    });
    await second.logged(/scanning with/);
    await sleep(200); // it tries to have the channel
    const started = Date.now();
    const status = await second.term();
    assertEquals([status.code, status.signal], [0, null], second.tail());
    assertLess(Date.now() - started, 2000);
    assert(second.serviceManager.said().includes("STOPPING=1"));
    await world.only.share("ann").write("after", "x");
    await world.only.settled();
  },
);

testOnEachFilesystem(
  "I3: SIGTERM in a burst: staging is clean, and the rest follows at the next start",
  async (kind) => {
    await using world = await World.start(kind, { channels: { docs: {} } });
    const writing = world.only.share("ann").shell(
      "mkdir d; for i in $(seq 400); do echo $i > d/$i; done",
    );
    await waitFor("it has begun", () => world.only.export.list("d").length > 5);
    const { code } = await world.gate.term();
    assertEquals(code, 0, world.gate.tail());
    assertEquals(world.only.staged(), []);
    await writing;
    await world.startGate();
    await waitFor("all have arrived", () => world.only.export.list("d").length === 400);
    await world.only.settled();
  },
);

testOnEachFilesystem(
  "I3: it is ready while the first sync still runs, and misses nothing meanwhile",
  async (kind) => {
    await using world = await World.prepare(kind, { channels: { docs: {} } });
    await world.only.share("ann").shell(`
    for d in $(seq 20); do mkdir -p old/$d; for i in $(seq 50); do echo $i > old/$d/$i; done; done
  `);
    await world.clamd.start();
    await world.startGate();
    await world.only.share("bob").write("while-syncing", "new");
    await waitFor("the new file arrives", () => world.only.share("ann").has("while-syncing"));
    await waitFor("the old files arrive", () => world.only.export.has("old/20/50"));
    await world.only.settled();
    await world.verify();
  },
);

testOnEachFilesystem(
  "I7: a start watches a guest's small share, and follows it, while another's huge tree is not watched yet",
  async (kind) => {
    await using world = await World.prepare(kind, { channels: { docs: {} } });
    const { only } = world;
    await only.share("ann").shell("mkdir t; cd t; for i in $(seq 200); do mkdir $i; done");
    await only.share("ann").shell("cd t; for i in *; do (cd $i; mkdir $(seq 200)); done");
    await world.clamd.start();
    await using gate = Gate.launch({
      configuration: world.configuration,
      clamdSocket: world.clamd.socket,
    });
    await gate.logged(/scanning with/);
    await waitFor("it watches", () => watches(gate.child.pid) > 0);
    await only.share("bob").write("file", "x");
    await waitFor("it arrives", () => only.share("cid").has("file"));
    assertLess(watches(gate.child.pid), 40_000);
  },
);

testOnEachFilesystem(
  "I7: at a start, what one guest has done meanwhile does not wait for all that another one has made",
  async (kind) => {
    const count = 10_000;
    await using world = await World.start(kind, { channels: { docs: {} } });
    const { only } = world;
    const [ann, bob] = [only.share("ann"), only.share("bob")];
    await bob.shell("mkdir known; cd known; echo 1 > changed; echo 1 > both; echo 1 > deleted");
    await waitFor("they are known", () => only.export.list("known").length === 3);
    await only.settled();
    await world.gate.term();
    await ann.shell(`mkdir many; cd many; seq ${count} | xargs touch`);
    await ann.shell("touch -d yesterday known/both");
    await bob.shell("cd known; echo 2 > changed; echo 2 > both; rm deleted; echo 1 > new; mkdir d");
    await world.startGate();
    await waitFor("bob's arrive", async () => {
      for (const name of ["changed", "both"]) {
        if (await only.export.readText(`known/${name}`) !== "2\n") return false;
      }
      const has = (name: string) => only.export.has(`known/${name}`);
      return !has("deleted") && has("new") && has("d");
    });
    assertLess(only.export.list("many").length, count);
    await only.settled();
  },
);

testOnEachFilesystem(
  "the log goes to stderr with journald's priorities, one line each",
  async (kind) => {
    await using world = await World.start(kind, { channels: { docs: {} } });
    await world.only.share("ann").write("file", "x");
    await waitFor("it works", () => world.only.export.has("file"));
    await world.gate.term();
    // Deno itself says one line about permission sets before our program begins.
    const lines = world.gate.log.trimEnd().split("\n");
    const ours = lines.slice(lines.findIndex((line) => /^<\d>/.test(line)));
    assert(ours.length > 1, world.gate.log);
    for (const line of ours) assertMatch(line, /^<[0-7]>\S/);
  },
);

testOnEachFilesystem("it is ready, and watches, while clamd hangs", async (kind) => {
  await using world = await World.prepare(kind, { channels: { docs: {} } });
  await using clamd = FakeClamd.start(() => "hang");
  // A machine that is busy with other things for seconds may be late once.
  for (let attempt = 0;; attempt++) {
    const gate = await world.startGate({ clamdSocket: clamd.socket });
    if (!gate.log.includes("does not answer")) break;
    assertLess(attempt, 2, "it waits for clamd");
  }
  await world.only.share("ann").write("empty", "");
  await waitFor("what needs no scan travels", () => world.only.export.has("empty"));
  await world.gate.logged(/does not answer/);
});

Deno.test("what runs unscanned is told", async () => {
  const docs = { basePath: "/nonexistent/x", producers: ["ann"], scanning: { enable: false } };
  await using gate = Gate.launch({ configuration: { docs } });
  await gate.exit();
  assertMatch(gate.log, /<4>docs: scanning is off: every file counts as clean/);
});

Deno.test("nothing is made where the file system will not do, as where a disk is not mounted", async () => {
  const basePath = scratchDirectory("not-mounted", "memory");
  await Deno.mkdir(`${basePath}/share`);
  await using gate = Gate.launch({ configuration: { docs: { basePath, producers: ["ann"] } } });
  assertEquals((await gate.exit()).code, 1, gate.tail());
  assertMatch(gate.log, /channel docs is skipped: .*use btrfs/);
  assertEquals([...Deno.readDirSync(basePath)].map(({ name }) => name), ["share"]);
});

Deno.test("a configuration of clamd's that was named and cannot be read is told", async () => {
  await using gate = Gate.launch({
    configuration: { docs: { basePath: "/nonexistent/x", producers: ["ann"] } },
    arguments: ["--clamd-config", "/nonexistent/clamd.conf"],
  });
  await gate.exit();
  assertMatch(gate.log, /<4>warning: --clamd-config \/nonexistent\/clamd\.conf cannot be read/);
});

Deno.test("no good channel at all: it says so and ends with an error, without a stack trace", async () => {
  await using gate = Gate.launch({
    configuration: { docs: { basePath: "/nonexistent/x", producers: ["ann"] } },
    clamdSocket: "/nonexistent/clamd.ctl",
  });
  const { code } = await gate.exit();
  assert(code !== 0);
  assertMatch(gate.log, /docs/);
  assertNotMatch(gate.log, /^\s+at .*\.ts:\d+|nobody foresaw/m);
});

Deno.test("of more faults than the log has room for their number is told before the end", async () => {
  const faulty = { basePath: "relative", producers: ["ann"] };
  const configuration = Object.fromEntries(Array.from({ length: 70 }, (_, i) => [`c${i}`, faulty]));
  await using gate = Gate.launch({ configuration });
  assertEquals((await gate.exit()).code, 1);
  const told = gate.log.match(/^<3>fault: /gm)?.length ?? 0;
  const more = Number(/(\d+) more messages like this one were not logged/.exec(gate.log)?.[1]);
  assertEquals(told + more, 70, gate.tail());
});

testOnEachFilesystem(
  "no channel at all can be started: it does not serve nothing, but ends with an error",
  async (kind) => {
    await using world = await World.start(kind, { channels: { docs: {} } });
    await world.gate.term();
    const { basePath } = world.only;
    await Deno.mkdir(`${basePath}/.virtiofs-gate/recovery/journal.new`);
    await using gate = Gate.launch({
      configuration: world.configuration,
      clamdSocket: world.clamd.socket,
    });
    assertEquals((await gate.exit()).code, 1, gate.tail());
    assertMatch(gate.log, /channel docs is skipped: .*journal\.new/);
    assertMatch(gate.log, /no channel can run/);
    assertNotMatch(gate.log, /serving/);
  },
);

Deno.test("a configuration that is not JSON: named, exit 1, without a stack trace", async () => {
  await using gate = Gate.launch({ configuration: "{ not json" });
  assertEquals((await gate.exit()).code, 1);
  assertMatch(gate.log, /channels\.json/);
  assertNotMatch(gate.log, /^\s+at .*\.ts:\d+|nobody foresaw/m);
});
