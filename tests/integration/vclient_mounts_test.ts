/** clamd-vclient: something is mounted in a watched directory, or is there no more, while it runs (I1). */

// @ts-types="../support/assert.d.ts"
import { assertMatch } from "@std/assert";
import { MemoryFilesystem } from "../attack/support/memory_filesystem.ts";
import { must } from "../support/command.ts";
import { hasProgram } from "../support/prerequisites.ts";
import { VclientWorld } from "../support/vclient_world.ts";
import { waitFor } from "../support/wait.ts";

const ignore = !hasProgram("clamd") || Deno.uid() !== 0;

/** A client that starts while something is mounted at `place`. */
async function startCovered(world: VclientWorld, place: string): Promise<MemoryFilesystem> {
  const mounted = await MemoryFilesystem.mount(`${world.watched}/${place}`);
  await world.clamd.start();
  await world.startClient();
  return mounted;
}

async function uncovered(world: VclientWorld): Promise<void> {
  await waitFor(
    () => `the log says so:\n${world.client.log}`,
    () => world.client.log.includes("mounted there is gone"),
  );
}

Deno.test(
  {
    name: "I1: a directory that was covered at the start is watched when the mount is gone",
    ignore,
  },
  async () => {
    await using world = await VclientWorld.prepare({ before: "mkdir -p sub/deep" });
    {
      await using _ = await startCovered(world, "sub");
      assertMatch(world.client.log, /sub.*another file system is mounted there/);
    }
    await world.shell('cp "$EVIL" sub/evil; cp "$EVIL" sub/deep/evil');
    await world.gone("sub/evil", "sub/deep/evil");
    await uncovered(world);
    await world.shell('cp "$EVIL" sub/deep/later; mkdir sub/new; cp "$EVIL" sub/new/evil');
    await world.gone("sub/deep/later", "sub/new/evil");
  },
);

Deno.test(
  { name: "I1: what lies below a mount is scanned when that is gone, as if it came then", ignore },
  async () => {
    await using world = await VclientWorld.prepare({
      before: 'mkdir -p sub/deep; cp "$EVIL" sub/evil; cp "$EVIL" sub/deep/evil; touch file',
    });
    {
      await using _ = await startCovered(world, "sub");
    }
    await world.gone("sub/evil", "sub/deep/evil");
  },
);

Deno.test(
  {
    name: "I1: below a mount that came after the start, a watch that was lost is set again",
    ignore,
  },
  async () => {
    await using world = await VclientWorld.start({ before: "mkdir -p sub/deep" });
    {
      await using _ = await MemoryFilesystem.mount(`${world.watched}/sub`);
      await must("mv", [world.watched, `${world.watched}.away`]);
      await waitFor("that is noticed", () => world.client.log.includes("is gone"));
      await must("mv", [`${world.watched}.away`, world.watched]);
      await waitFor("and this", () => world.client.log.includes("is there again"));
    }
    await world.shell('cp "$EVIL" sub/deep/evil');
    await world.gone("sub/deep/evil");
  },
);

Deno.test(
  { name: "I1: what is written below a mount by another way is scanned when that is gone", ignore },
  async () => {
    await using world = await VclientWorld.start({ before: "mkdir -p sub/deep; touch sub/file" });
    const way = `${world.watched}.way`;
    Deno.mkdirSync(way);
    await must("mount", ["--bind", world.watched, way]);
    try {
      await using _ = await MemoryFilesystem.mount(`${world.watched}/sub`);
      await using _file = await boundFile(world, "covered");
      for (const name of ["sub/evil", "sub/deep/evil", "covered"]) {
        Deno.copyFileSync(world.evil, `${way}/${name}`);
      }
      Deno.mkdirSync(`${way}/sub/deep/new`);
      Deno.copyFileSync(world.evil, `${way}/sub/deep/new/evil`);
      await world.quiet();
    } finally {
      await must("umount", [way]);
    }
    await world.gone("sub/evil", "sub/deep/evil", "sub/deep/new/evil", "covered");
    await world.shell('cp "$EVIL" sub/deep/new/later');
    await world.gone("sub/deep/new/later");
  },
);

/** A file of the watched directory, with another one mounted over it. */
async function boundFile(world: VclientWorld, name: string): Promise<AsyncDisposable> {
  const path = `${world.watched}/${name}`;
  const other = `${world.watched}.other`;
  for (const file of [path, other]) Deno.writeTextFileSync(file, "clean");
  await must("mount", ["--bind", other, path]);
  return {
    async [Symbol.asyncDispose]() {
      await must("umount", [path]);
    },
  };
}

Deno.test(
  { name: "I1: a mount that is renamed with the directory above it is followed", ignore },
  async () => {
    await using world = await VclientWorld.prepare({ before: "mkdir -p above/sub" });
    {
      await using mounted = await startCovered(world, "above/sub");
      await world.shell('mv above renamed; mkdir -p above/sub; cp "$EVIL" above/sub/evil');
      await world.gone("above/sub/evil");
      await must("umount", [mounted.path.replace("/above/", "/renamed/")]);
      await must("mount", ["-t", "tmpfs", "tmpfs", mounted.path]);
    }
    await world.shell('cp "$EVIL" renamed/sub/evil');
    await world.gone("renamed/sub/evil");
  },
);

Deno.test(
  { name: "I1: in a directory that is named, what is mounted after the start is scanned", ignore },
  async () => {
    await using world = await VclientWorld.start({
      before: "mkdir -p above/usb",
      arguments: (watched) => ["--watch", `${watched}/above/usb`],
    });
    for (const round of [1, 2]) {
      await world.shell("mount -t tmpfs tmpfs above/usb");
      try {
        await world.shell('mkdir above/usb/deep; cp "$EVIL" above/usb/evil');
        await world.shell('cp "$EVIL" above/usb/deep/evil');
        await world.gone("above/usb/evil", "above/usb/deep/evil");
      } finally {
        await world.shell("umount -l above/usb"); // the client holds it
      }
      const below = `above/usb/below-${round}`;
      await world.shell(`cp "$EVIL" ${below}; cp "$EVIL" above/evil`);
      await world.gone(below, "above/evil");
    }
  },
);

Deno.test(
  {
    name: "I1: a directory that is named is scanned whatever moves in its place or into it",
    ignore,
  },
  async () => {
    await using world = await VclientWorld.start({
      before: "mkdir -p above/in",
      arguments: (watched) => ["--watch", `${watched}/above/in`],
    });
    await world.shell(`
      mkdir tree; cp "$EVIL" tree/evil; mv tree above/in/tree
      cp "$EVIL" evil; mv evil above/in/evil
    `);
    await world.gone("above/in/tree/evil", "above/in/evil");
    await world.shell('mv above/in above/out; mkdir -p above/in; cp "$EVIL" above/in/evil');
    await world.shell('cp "$EVIL" above/out/evil; cp "$EVIL" above/out/tree/evil');
    await world.gone("above/in/evil", "above/out/evil", "above/out/tree/evil");
    await world.shell('mv above renamed; mkdir -p above/in; cp "$EVIL" above/in/evil');
    await world.shell('cp "$EVIL" renamed/in/evil');
    await world.gone("above/in/evil", "renamed/in/evil");
  },
);

Deno.test(
  { name: "I1: a file in the place of a directory that is named is scanned", ignore },
  async () => {
    await using world = await VclientWorld.start({
      before: "mkdir in",
      arguments: (watched) => ["--watch", `${watched}/in`],
    });
    await world.shell('rmdir in; cp "$EVIL" in');
    await world.gone("in");
    await world.shell('cp "$EVIL" evil; mv evil in; mkdir in-tree; cp "$EVIL" in-tree/evil');
    await world.gone("in", "in-tree/evil");
    await world.shell('mv in-tree in; cp "$EVIL" in/evil');
    await world.gone("in/evil");
  },
);
