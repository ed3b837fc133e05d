/** Real guests on real virtiofs: two machines write into their shares, a third reads the export. */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals } from "@std/assert";
import { EICAR } from "../support/eicar.ts";
import { waitFor } from "../support/wait.ts";
import { World } from "../support/world.ts";
import { VIRTIOFS_MODULES } from "./support/kernel.ts";
import { noMachine, VirtualMachine } from "./support/virtual_machine.ts";

const reason = await noMachine();

/** The EICAR string for a shell, in octal, so that no command line holds it. */
const INFECTED = Array.from(EICAR, (byte) => `\\${byte.toString(8).padStart(3, "0")}`).join("");

async function machine(world: World, name: string, tag: string): Promise<VirtualMachine> {
  const { only } = world;
  const path = name === "reader" ? only.export.path : only.share(name).path;
  const guest = await VirtualMachine.boot({
    name,
    modules: VIRTIOFS_MODULES,
    shares: { [tag]: path },
  });
  await guest.run(`mount -t virtiofs ${tag} /mnt`);
  return guest;
}

/** Waits until a guest's shell finds what it looks for. */
async function sees(guest: VirtualMachine, condition: string): Promise<void> {
  await waitFor(
    `${guest.name} sees: ${condition}`,
    async () => (await guest.tryRun(`cd /mnt && ${condition}`)).status === 0,
    120_000,
  );
}

Deno.test({
  name: `virtiofs: what guests do in their shares${reason === undefined ? "" : `: ${reason}`}`,
  ignore: reason !== undefined,
  sanitizeOps: false,
  sanitizeResources: false,
  fn: async (t) => {
    await using world = await World.start("btrfs", {
      channels: { docs: { producers: ["ann", "bob"], consumers: ["reader"] } },
    });
    const { only } = world;
    // One at a time boots faster on few processors than all at once.
    await using ann = await machine(world, "ann", "annshare");
    await using bob = await machine(world, "bob", "bobshare");

    await t.step(
      "I3, I4: a file written in one guest appears in the other, bytes and owner",
      async () => {
        await ann.run(
          `cd /mnt && mkdir -p letters/old && head -c 300000 /dev/urandom > letters/one \
        && chown -R 1000:1000 letters && chmod 640 letters/one`,
        );
        await sees(bob, "test -s letters/one -a -d letters/old");
        await only.settled();
        const sums = await Promise.all(
          [ann, bob].map((guest) => guest.run("sha256sum < /mnt/letters/one")),
        );
        assertEquals(sums[0], sums[1]);
        assertEquals(
          (await bob.run("stat -c '%u:%g %a' /mnt/letters/one")).trim(),
          "1000:1000 640",
        );
      },
    );

    await t.step("a change, a rename and a deletion travel from guest to guest", async () => {
      await bob.run("cd /mnt/letters && echo changed >> one && mv old new");
      await sees(ann, "grep -q changed letters/one && test -d letters/new -a ! -e letters/old");
      await ann.run("cd /mnt/letters && mv one two && rmdir new");
      await sees(bob, "test -e letters/two -a ! -e letters/one -a ! -e letters/new");
      await ann.run("rm -r /mnt/letters");
      await sees(bob, "test ! -e letters");
      await only.settled();
    });

    await t.step("I1: malware reaches nobody, and is gone where it was", async () => {
      await bob.run(`printf '${INFECTED}' > /mnt/tool.exe`);
      await sees(bob, "test ! -e tool.exe");
      assertEquals(await only.infectedElsewhere(), []);
      assertEquals((await ann.tryRun("test -e /mnt/tool.exe")).status, 1);
    });

    await t.step("I3: a tree of 200 files, moved and copied inside a guest", async () => {
      await ann.run(`cd /mnt && for d in 1 2 3 4; do mkdir -p tree/$d; i=0; while [ $i -lt 50 ]; do
        echo $d $i > tree/$d/$i; i=$((i+1)); done; done; cp -r tree copy; mv tree moved`);
      await sees(bob, `test "$(find moved copy -type f | wc -l)" = 400 -a ! -e tree`);
      await only.settled();
    });

    await t.step(
      "I3: a file is heard of though the name is gone by which its guest found it",
      async () => {
        await ann.run("cd /mnt && echo first > temporary && ln temporary final && rm temporary");
        await sees(bob, "grep -q first final");
        await ann.run("cd /mnt && echo second > final");
        await sees(bob, "grep -q second final");
        await only.settled();
      },
    );

    await t.step("I2: links out of a share, made inside a guest, lead nowhere", async () => {
      const canary = `${world.filesystem.path}/canary`;
      await Deno.writeTextFile(canary, "untouched");
      await bob.run(`cd /mnt && ln -s ../../../canary out && ln -s / root && ln -s ../../export up \
        && ln -s /etc dir && mkfifo pipe && ln moved/1/1 hard && echo through > root/tmp/x`);
      await bob.run("cd /mnt && rm -r moved/2 && ln -s ../../../ moved/2 && mv out moved/3/3");
      // The same name with an innocent file from the other side.
      await ann.run("cd /mnt && echo innocent > out && mkdir -p dir && echo innocent > dir/file");
      await sees(bob, "test -f out -a ! -L out");
      await sees(bob, "grep -q innocent out");
      await bob.run("echo end > /mnt/end");
      await sees(ann, "test -e end");
      assertEquals(await Deno.readTextFile(canary), "untouched");
      await bob.run("cd /mnt && rm -f root up pipe hard moved/2 moved/3/3");
      for (const share of only.peers) {
        assert(!share.has("moved/2/canary"), `${share.name} was led out of the share`);
      }
    });

    await t.step(
      "I3: a guest that is switched off in the middle of a write stops nobody",
      async () => {
        ann.tryRun("cd /mnt && while :; do head -c 100000 /dev/zero >> half; done").catch(() => {});
        await waitFor("it has begun", () => only.share("ann").has("half"));
        await ann.kill();
        await bob.run("echo after > /mnt/after");
        await waitFor("export has it", () => only.export.has("after"));
        await only.settled();
      },
    );

    await t.step("the export, read-only for a consumer", async () => {
      await using reader = await machine(world, "reader", "export");
      assertEquals((await reader.run("cat /mnt/after")).trim(), "after");
    });
    const { code } = await world.gate.term();
    assertEquals(code, 0);
  },
});
