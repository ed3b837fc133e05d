/**
 * Channels and subvolumes of btrfs. A share in one of its own: no file can be renamed into it, so the channel does not run. A
 * channel in one: a snapshot may take its place.
 */

// @ts-types="../support/assert.d.ts"
import { assertEquals, assertMatch, assertNotMatch } from "@std/assert";
import { must, run } from "../support/command.ts";
import { testOnEachFilesystem, testOnFilesystem } from "../support/fixture.ts";
import { GATE_COMMAND, REPOSITORY } from "../support/gate.ts";
import { scratchDirectory } from "../support/scratch.ts";
import { waitFor } from "../support/wait.ts";
import { World } from "../support/world.ts";

testOnEachFilesystem(
  "I3: a share that is a subvolume: verify names it, run skips the channel, a reload is refused",
  async (kind) => {
    if (kind !== "btrfs") return;
    await using world = await World.prepare(kind, { channels: { docs: {}, mail: {} } });
    const { docs, mail } = world.configuration;
    await world.clamd.start();
    const gate = await world.startGate();
    const share = world.channel("mail").share("bob").path;
    await Deno.remove(share, { recursive: true });
    await must("btrfs", ["subvolume", "create", share]);
    const problem = /mail.*share\/bob is a mount or a subvolume of its own/;

    gate.configure({ docs, mail });
    gate.signal("SIGHUP");
    await gate.logged(problem);
    await gate.logged(/is not used: everything goes on as before/);

    const configuration = `${scratchDirectory("subvolume")}/channels.json`;
    await Deno.writeTextFile(configuration, JSON.stringify({ docs, mail }));
    const command = [...GATE_COMMAND, "verify", "--config", configuration];
    const verified = await run(Deno.execPath(), command, { cwd: REPOSITORY });
    assertEquals(verified.code, 1);
    assertMatch(new TextDecoder().decode(verified.stdout), problem);

    await gate.term();
    const next = await world.startGate();
    await next.logged(/channel mail is skipped: .*share\/bob is a mount or a subvolume of its own/);
    await world.channel("docs").share("ann").write("letter", "Dear Bob");
    await world.channel("docs").settled();
  },
);

testOnFilesystem(
  "btrfs",
  "I3: a snapshot in the place of a channel that was at work: what is missing in one share is deleted in no other",
  async (kind) => {
    await using world = await World.prepare(kind, { channels: { docs: {} } });
    const { only } = world;
    const ann = only.share("ann");
    // Any directory becomes a subvolume by a detour.
    const base = only.basePath;
    await must("mv", [base, `${base}.made`]);
    await must("btrfs", ["subvolume", "create", base]);
    await must("mv", [`${base}.made/share`, base]);
    await world.clamd.start();
    await world.startGate();
    await ann.write("letter", "Dear Bob");
    await ann.write("kept", "the same everywhere");
    await only.settled();
    await world.gate.kill();
    // As if the snapshot had the removal of malware, and not yet what had been noted before it.
    await ann.shell("rm letter");
    await must("btrfs", ["subvolume", "snapshot", base, `${base}.snapshot`]);
    await must("mv", [base, `${base}.former`]);
    await must("mv", [`${base}.snapshot`, base]);
    const { scans } = world.clamd;

    await world.startGate();
    await only.settled();
    assertEquals(await ann.readText("letter"), "Dear Bob");
    assertMatch(world.gate.log, /this is a snapshot: what is not everywhere as it was is compared/);
    assertEquals(world.clamd.scans, scans + 1, "only what is brought to somebody is scanned");
    await only.quiet();
    await world.gate.kill();
    await ann.shell("rm letter");
    await world.startGate();
    assertNotMatch(world.gate.log, /this is a snapshot/);
    await waitFor("the deletion is known", () => !only.export.has("letter"));
    await world.verify();
  },
);
