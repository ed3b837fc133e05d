/** A share in a btrfs subvolume of its own: no file can be renamed into it, so the channel does not run. */

// @ts-types="../support/assert.d.ts"
import { assertEquals, assertMatch } from "@std/assert";
import { must, run } from "../support/command.ts";
import { testOnEachFilesystem } from "../support/fixture.ts";
import { GATE_COMMAND, REPOSITORY } from "../support/gate.ts";
import { scratchDirectory } from "../support/scratch.ts";
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
