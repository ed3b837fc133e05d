/** What a user in the guest does so that malware stays, or so that clamd-vclient, as root, works for him. */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals, assertLess } from "@std/assert";
import { fromText, toBytes } from "../../ffi/byte_string.ts";
import { must, run } from "../support/command.ts";
import { EICAR } from "../support/eicar.ts";
import { MappedFile } from "../support/mapped_file.ts";
import { hasProgram, obstacles } from "../support/prerequisites.ts";
import { scratchDirectory } from "../support/scratch.ts";
import { VclientWorld } from "../support/vclient_world.ts";
import { sleep, waitFor } from "../support/wait.ts";

const ignore = !hasProgram("clamd");
const NOBODY = 65534;

function names(path: string): string[] {
  return [...Deno.readDirSync(path)].map(({ name }) => name).sort();
}

/** Whether it is not for its times that a client that starts now looks at it. */
function isOld(path: string): boolean {
  const { ctime } = Deno.statSync(path);
  return ctime !== null && Date.now() - ctime.getTime() > 1000;
}

/** The watched directory is the user's own, and the quarantine is in it. */
async function startAmongUsers(): Promise<VclientWorld> {
  const world = await VclientWorld.prepare({
    arguments: (watched) => ["-a", "quarantine", "--quarantine-dir", `${watched}/.quarantine`],
  });
  Deno.chownSync(world.watched, NOBODY, NOBODY);
  Deno.chmodSync(world.evil, 0o644);
  await world.clamd.start();
  await world.startClient();
  return world;
}

async function asUser(world: VclientWorld, script: string): Promise<void> {
  const user = ["--reuid", `${NOBODY}`, "--regid", `${NOBODY}`, "--clear-groups"];
  await must("setpriv", [...user, "sh", "-ec", script], {
    cwd: world.watched,
    env: { EVIL: world.evil },
  });
}

Deno.test(
  { name: "I1: malware that is written by mmap(2) into a file that was scanned", ignore },
  async () => {
    await using world = await VclientWorld.start();
    const path = `${world.watched}/mapped`;
    Deno.writeTextFileSync(path, "x".repeat(EICAR.length));
    {
      using mapped = new MappedFile(path);
      Deno.chmodSync(path, 0o640); // it is looked at while it is clean
      await world.quiet();
      const before = Deno.statSync(path).mtime;
      mapped.write(EICAR);
      assertEquals(Deno.statSync(path).mtime, before, "nothing shows");
    }
    await world.gone("mapped");
  },
);

Deno.test(
  {
    name: "I1: malware that is written by mmap(2), of which an overflow loses the closing",
    ignore,
  },
  async () => {
    await using world = await VclientWorld.start({ clamd: { LogClean: "no" } });
    await world.shell("mkdir known");
    const path = `${world.watched}/mapped`;
    Deno.writeTextFileSync(path, "x".repeat(EICAR.length));
    {
      using mapped = new MappedFile(path);
      Deno.chmodSync(path, 0o640); // it is looked at while it is clean
      await world.quiet();
      await sleep(500);
      Deno.kill(world.client.pid, "SIGSTOP");
      // More events than the kernel keeps for a client that does not read them.
      await world.shell(`for i in $(seq 7000); do echo $i > known/$i; done`);
      mapped.write(EICAR);
    }
    Deno.kill(world.client.pid, "SIGCONT");
    await world.client.logged(/changes came faster than they could be read/);
    await world.gone("mapped");
  },
);

Deno.test(
  { name: "I1: malware of which an attribute is changed again and again", ignore },
  async () => {
    await using world = await VclientWorld.start();
    // As long as it is there, and at most for 20 s.
    const loop = `for $n (1..2000) {
      chmod(0600 + $n % 2 * 044, "linked") or exit 0; select(undef, undef, undef, 0.01);
    } exit 1`;
    await world.shell(`ln "$EVIL" linked; perl -e '${loop}'`);
    await world.empty();
  },
);

Deno.test(
  { name: "I2: a link that takes the empty quarantine's place leads nowhere", ignore },
  async () => {
    await using world = await startAmongUsers();
    const victim = scratchDirectory("victim");
    await asUser(world, `rmdir .quarantine; ln -s "${victim}" .quarantine; cp "$EVIL" evil`);
    await world.client.logged(/evil: .* was found, and the file is still there: .*ENOENT/);
    assertEquals(names(victim), []);
    await asUser(world, `rm .quarantine; mkdir .quarantine; cp "$EVIL" another`);
    await world.client.logged(/another: .* was found, and the file is still there: .*EPERM/);
    assertEquals(names(`${world.watched}/.quarantine`), []);
    await world.shell("rmdir .quarantine; mkdir -m 700 .quarantine");
    await world.gone("evil", "another");
  },
);

Deno.test(
  { name: "I6: a quarantine that was moved in the watched tree is not scanned", ignore },
  async () => {
    await using world = await startAmongUsers();
    await asUser(world, `cp "$EVIL" evil`);
    await world.gone("evil");
    await world.quiet();
    await asUser(world, `mv .quarantine moved; cp "$EVIL" evil`);
    await world.gone("evil");
    await world.quiet();
    assertEquals([world.clamd.scans, names(`${world.watched}/moved`).length], [2, 4]);
    assertEquals(world.user.lines.length, 2);
  },
);

Deno.test(
  {
    name: "malware that was being removed when it was killed is removed at the next start",
    ignore,
  },
  async () => {
    await using world = await VclientWorld.prepare({
      before: `
        cp "$EVIL" .clamd-vclient-0b5b3b0e-6f5c-4a0e-9d0b-0123456789ab
        cp "$EVIL" old; cp "$EVIL" .clamd-vclient-0123456789abcdef-evil
        echo mine > .clamd-vclient-0123456789abcdef-mine; : > .clamd-vclient-0123456789abcdef-empty
      `,
    });
    await world.clamd.start();
    await waitFor("what is there is old", () => isOld(`${world.watched}/old`));
    await world.startClient();
    await waitFor("it is gone", async () => (await world.files()).length === 3);
    assertEquals(await world.files(), ["empty", "mine", "old"]);
    assertEquals(
      world.user.lines.filter((line) => line.endsWith(`${world.watched}/evil`)).length,
      1,
    );
  },
);

Deno.test(
  {
    name: "malware that was being copied into quarantine when it was killed is there whole",
    ignore,
  },
  async () => {
    const quarantine = Deno.realPathSync(scratchDirectory("quarantine"));
    await using world = await VclientWorld.prepare({
      before: `cp "$EVIL" evil; cp "$EVIL" old`,
      arguments: () => ["-a", "quarantine", "--quarantine-dir", quarantine],
    });
    await world.clamd.start();
    const pathBytes = toBytes(fromText(`${world.watched}/evil`)).toHex();
    const description = `${quarantine}/20261121T104955-evil.json`;
    Deno.writeTextFileSync(description, JSON.stringify({ pathBytes }));
    Deno.chmodSync(description, 0o600);
    const copy = `${quarantine}/20261121T104955-evil.partial`;
    Deno.writeTextFileSync(copy, "the beginning");
    Deno.chmodSync(copy, 0);
    await waitFor("what is there is old", () => isOld(`${world.watched}/old`));
    await world.startClient();
    await world.gone("evil");
    await waitFor("the user is told", () => world.user.lines.length > 0);
    const [kept = "", about] = names(quarantine);
    assertEquals([about, names(quarantine).length], [`${kept}.json`, 2]);
    assertEquals(Deno.readFileSync(`${quarantine}/${kept}`), EICAR);
    assertEquals(await world.files(), ["old"]);
  },
);

Deno.test(
  {
    name: "I6: malware in a directory from which nothing may be removed is told of once",
    ignore: ignore || !hasProgram("chattr"),
  },
  async () => {
    await using world = await VclientWorld.start({
      arguments: (watched) => ["-a", "quarantine", "--quarantine-dir", `${watched}.quarantine`],
      before: "mkdir fixed; chattr +a fixed",
    });
    try {
      await world.shell(`cp "$EVIL" fixed/evil`);
      await world.client.logged(/evil: .* was found, and the file is still there: .*EPERM/);
      await sleep(2000);
      assertEquals(world.user.lines.length, 1);
      assertLess(world.clamd.scans, 5);
    } finally {
      await must("chattr", ["-a", `${world.watched}/fixed`]);
    }
    await world.gone("fixed/evil");
  },
);

Deno.test(
  {
    name: "a file system that is mounted in a watched directory is told of, unless it is named",
    ignore: ignore || obstacles().length > 0,
  },
  async () => {
    await using world = await VclientWorld.prepare({
      before: "mkdir named other",
      arguments: (watched) => ["--watch", `${watched}/named`],
    });
    await world.clamd.start();
    const places = ["named", "other"].map((name) => `${world.watched}/${name}`);
    try {
      for (const place of places) await must("mount", ["-t", "tmpfs", "tmpfs", place]);
      await world.startClient();
      await world.client.logged(/\/other cannot be read, .* another file system is mounted there/);
      await world.shell(`cp "$EVIL" named/evil`);
      await world.gone("named/evil");
      assert(!/\/named cannot be read/.test(world.client.log));
    } finally {
      for (const place of places) await run("umount", ["-l", place]);
    }
  },
);
