/** clamd-vclient: malware that has other names than the one that an event tells (I1). */

// @ts-types="../support/assert.d.ts"
import { assertEquals, assertMatch } from "@std/assert";
import { EICAR } from "../support/eicar.ts";
import { hasProgram } from "../support/prerequisites.ts";
import { VclientWorld } from "../support/vclient_world.ts";
import { sleep } from "../support/wait.ts";

const ignore = !hasProgram("clamd");
const HIDDEN = ".clamd-vclient-0123456789abcdef-foo";

for (const action of ["delete", "quarantine"]) {
  Deno.test(
    { name: `I1: a file with several names is infected: all go (${action})`, ignore },
    async () => {
      await using world = await VclientWorld.start({
        arguments: (watched) =>
          action === "delete" ? [] : ["-a", action, "--quarantine-dir", `${watched}.quarantine`],
      });
      await world.shell("mkdir other; echo clean > a; ln a other/b; ln a c");
      await world.quiet();
      await world.shell('cat "$EVIL" > a');
      await world.gone("a", "c", "other/b");
    },
  );
}

Deno.test(
  { name: "I1: a program writes by a name that it has given up for another one", ignore },
  async () => {
    await using world = await VclientWorld.start();
    const at = (name: string) => `${world.watched}/${name}`;
    using file = Deno.openSync(at("new"), { read: true, write: true, createNew: true });
    file.writeSync(new Uint8Array(EICAR.length).fill(120));
    Deno.linkSync(at("new"), at("final"));
    Deno.removeSync(at("new"));
    await world.quiet();
    file.seekSync(0, Deno.SeekMode.Start);
    file.writeSync(EICAR);
    await world.gone("final");
  },
);

Deno.test(
  {
    name:
      "I1: what has the hidden name of a file that is being removed, and cannot have another, is scanned",
    ignore,
  },
  async () => {
    await using world = await VclientWorld.start({
      before: "touch foo; for i in $(seq 100); do touch foo.restored-$i; done",
    });
    await world.quiet();
    await world.shell(`cp "$EVIL" ${HIDDEN}`);
    await world.gone(HIDDEN);
  },
);

Deno.test(
  { name: "with --action log no file gets another name; otherwise that is told", ignore },
  async () => {
    for (const action of ["log", "delete"]) {
      await using world = await VclientWorld.start({ arguments: () => ["--action", action] });
      await world.shell(`echo clean > ${HIDDEN}`);
      await world.quiet();
      await sleep(200);
      assertEquals(await world.files(), [action === "log" ? HIDDEN : "foo"]);
      if (action === "delete") assertMatch(world.client.log, /clamd-vclient-0123.*its own back/);
    }
  },
);
