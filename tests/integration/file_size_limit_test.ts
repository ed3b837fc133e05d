/** No file may be larger than some size (LimitFSIZE=, setrlimit(2)): that is the trouble of the file that is, and of no other. */

// @ts-types="../support/assert.d.ts"
import { assertEquals, assertMatch } from "@std/assert";
import { clean } from "../support/eicar.ts";
import { testOnEachFilesystem } from "../support/fixture.ts";
import { hasProgram } from "../support/prerequisites.ts";
import { VclientWorld } from "../support/vclient_world.ts";
import { waitFor } from "../support/wait.ts";
import { World } from "../support/world.ts";

const LIMIT = 20_000_000;
const under = ["prlimit", `--fsize=${LIMIT}:${LIMIT}`];

testOnEachFilesystem(
  "I3, I7: a file above the limit of the gate's files is told, and in nobody's way, also after a start anew",
  async (kind) => {
    await using world = await World.prepare(kind, { channels: { docs: {} }, gate: { under } });
    await world.clamd.start();
    await world.startGate();
    const { only } = world;
    for (const round of ["first", "reload", "restart"]) {
      if (round === "reload") await world.gate.reload();
      if (round === "restart") await world.startGate();
      await only.share("ann").write(`large-${round}`, clean(1, LIMIT + 1));
      const line = await world.gate.logged(new RegExp(`large-${round}.*EFBIG.*`));
      assertMatch(line, /EFBIG \(larger than a file may be \(raise LimitFSIZE\)\)/);
      await only.share("bob").write(round, "another");
      await waitFor("the other arrives", () => only.share("cid").has(round));
      assertEquals(world.gate.status, undefined);
      assertEquals(only.export.has(`large-${round}`), false);
    }
    await world.startGate({ under: [] });
    await only.settled();
    assertEquals(await only.share("cid").read("large-first"), clean(1, LIMIT + 1));
  },
);

Deno.test({
  name: "I7: a file above the limit of clamd-vclient's files is told, and in nobody's way",
  ignore: !hasProgram("clamd"),
}, async () => {
  await using world = await VclientWorld.start({
    under,
    arguments: () => ["--action", "delete"],
  });
  await world.shell(`head -c ${LIMIT + 1} /dev/zero > large`);
  await waitFor("it is told", () => /large could not be scanned.*EFBIG/.test(world.client.log));
  await world.shell("cp $EVIL evil");
  await waitFor("malware is removed", () => !world.has("evil"));
  assertEquals(world.has("large"), true);
});
