/** clamd-vclient as users run it, with a real clamd, directly and through clamd-vproxy. AF_VSOCK itself: tests/vm. */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals, assertLess, assertMatch, assertNotMatch } from "@std/assert";
import { Clamd, SIGNATURE } from "../support/clamd.ts";
import { Daemon } from "../support/daemon.ts";
import { EICAR } from "../support/eicar.ts";
import { ForwardedSocket } from "../support/forwarded_socket.ts";
import { watches } from "../support/open_files.ts";
import { hasProgram } from "../support/prerequisites.ts";
import { scratchDirectory } from "../support/scratch.ts";
import { VclientWorld } from "../support/vclient_world.ts";
import { sleep, waitFor } from "../support/wait.ts";

const ignore = !hasProgram("clamd");

for (const throughProxy of [false, true]) {
  const way = throughProxy ? "through clamd-vproxy" : "through clamd's socket";

  Deno.test({ name: `${way}: infected files are deleted, clean ones stay`, ignore }, async () => {
    await using world = await VclientWorld.start({ throughProxy });
    await world.shell(`
      cp "$EVIL" written
      ln "$EVIL" linked
      mkdir d; cp "$EVIL" d/temporary; mv d/temporary d/renamed
      mkdir -p "$EVIL.d/x/y"; cp "$EVIL" "$EVIL.d/x/y/evil"; echo fine > "$EVIL.d/x/fine"
      mv "$EVIL.d" tree
      printf 'fine' > clean; : > empty
      cp "$EVIL" "$(printf 'new\\nline')"; cp "$EVIL" "$(printf 'latin-\\351')"
    `);
    await world.gone("written", "linked", "d/renamed", "tree/x/y/evil", "new\nline");
    await waitFor("all are gone", async () => (await world.files()).length === 3);
    assertEquals(await world.files(), ["clean", "empty", "tree/x/fine"]);
    assertEquals(Deno.readFileSync(world.evil), EICAR, "a link's other name lies outside");
    await world.quiet();
    const malware = world.user.lines.filter((line) => line.startsWith("Malware "));
    const told = (name: string) =>
      `Malware ${SIGNATURE} was detected in file: ${world.watched}/${name}`;
    for (const name of ["written", "linked", "d/renamed", "new\\x0aline", "latin-\\xe9"]) {
      assert(malware.includes(told(name)), `${name} is in ${malware}`);
    }
    assertEquals(malware.length, 6);
    assertEquals(await world.client.stop(), 0);
    assertNotMatch(world.client.log, /^\s+at .*\.ts:\d+|nobody foresaw/m);
  });

  Deno.test({ name: `${way}: a burst of 8,000 files`, ignore }, async () => {
    await using world = await VclientWorld.start({ throughProxy, clamd: { LogClean: "no" } });
    await world.shell(`
      for d in $(seq 80); do
        mkdir $d
        for i in $(seq 100); do echo "$d $i" > $d/$i; done
        cp "$EVIL" $d/50
      done
    `);
    const infected = Array.from({ length: 80 }, (_, d) => `${d + 1}/50`);
    await world.gone(...infected);
    assertEquals((await world.files()).length, 80 * 99);
    assertLess(world.client.memoryMiB(), 250);
    assertEquals(await world.client.stop(), 0);
    assertNotMatch(world.client.log, /could not be scanned|queue is full/);
  });

  Deno.test({ name: `${way}: 50 times mkdir -p a/b/c and a write at once`, ignore }, async () => {
    await using world = await VclientWorld.start({ throughProxy });
    await world.shell(`
      for i in $(seq 50); do mkdir -p $i/a/b/c && cp "$EVIL" $i/a/b/c/evil; echo $i > $i/a/clean; done
    `);
    await world.gone(...Array.from({ length: 50 }, (_, i) => `${i + 1}/a/b/c/evil`));
    await world.quiet();
    const clean = Array.from({ length: 50 }, (_, i) => `${i + 1}/a/clean`).sort();
    assertEquals(await world.files(), clean);
  });
}

Deno.test(
  { name: "I3: infected files whose events were lost in an overflow are found", ignore },
  async () => {
    await using world = await VclientWorld.start({ clamd: { LogClean: "no" } });
    await world.shell("mkdir known; echo clean > known/clean");
    await sleep(500);
    Deno.kill(world.client.pid, "SIGSTOP");
    // More events than the kernel keeps for a client that does not read them.
    await world.shell(`
    for i in $(seq 7000); do echo $i > known/$i; done
    for d in $(seq 20); do mkdir -p $d/x; cp "$EVIL" $d/x/evil; cp "$EVIL" known/evil$d; done
  `);
    Deno.kill(world.client.pid, "SIGCONT");
    await world.client.logged(/changes came faster than they could be read/);
    const evil = Array.from({ length: 20 }, (_, d) => [`${d + 1}/x/evil`, `known/evil${d + 1}`]);
    await world.gone(...evil.flat());
    assertEquals((await world.files()).length, 7001);
  },
);

Deno.test(
  { name: "--action quarantine, inside the watched directory, without a loop", ignore },
  async () => {
    await using world = await VclientWorld.start({
      arguments: (watched) => ["-a", "quarantine", "--quarantine-dir", `${watched}/.quarantine`],
    });
    await world.shell(`cp "$EVIL" evil; mkdir d; cp "$EVIL" d/evil`);
    await world.gone("evil", "d/evil");
    await world.quiet();
    const quarantine = `${world.watched}/.quarantine`;
    const kept = [...Deno.readDirSync(quarantine)].map(({ name }) => name).sort();
    assertEquals(kept.length, 4);
    for (const name of kept.filter((name) => !name.endsWith(".json"))) {
      assertMatch(name, /^\d{8}T\d{6}(-2)?-evil$/);
      assertEquals((Deno.statSync(`${quarantine}/${name}`).mode ?? 0) & 0o7777, 0);
      const about = JSON.parse(Deno.readTextFileSync(`${quarantine}/${name}.json`));
      assertEquals([about.signature, about.size], [SIGNATURE, EICAR.length]);
      assert([`${world.watched}/evil`, `${world.watched}/d/evil`].includes(about.path));
    }
    assertEquals(world.clamd.scans, 2, "nothing in quarantine is scanned");
  },
);

for (const action of ["delete", "quarantine"]) {
  const name = `malware that is touched again and again without a pause: ${action}`;
  Deno.test({ name, ignore }, async () => {
    const more = action === "delete" ? [] : ["--quarantine-dir", scratchDirectory("quarantine")];
    await using world = await VclientWorld.start({
      throughProxy: true,
      arguments: () => ["--action", action, ...more],
    });
    await world.shell(`
      cp "$EVIL" evil; i=0
      while test -e evil; do touch -c evil; i=$((i + 1)); test $i -lt 20000; done
    `);
    await world.empty();
    await waitFor("the user is told", () => world.user.lines.length > 0);
    assertMatch(world.user.lines[0] ?? "", /^Malware /);
  });
}

Deno.test({ name: "--action log leaves the file, and tells once", ignore }, async () => {
  await using world = await VclientWorld.start({ arguments: () => ["--action", "log"] });
  await world.shell(`cp "$EVIL" evil; mkdir d; mv "$EVIL" d/moved; mv d e`);
  await waitFor("the user is told", () => world.user.lines.length >= 2);
  await world.quiet();
  assertEquals(await world.files(), ["e/moved", "evil"]);
  assertEquals(world.user.lines.length, 2);
  await world.client.logged(new RegExp(`evil: ${SIGNATURE} was found, left in place`));
});

Deno.test({ name: "I2: links are not followed, to files or to directories", ignore }, async () => {
  await using world = await VclientWorld.start();
  const outside = scratchDirectory("outside");
  Deno.writeFileSync(`${outside}/evil`, EICAR);
  await world.shell(`
    ln -s ${outside}/evil file; ln -s ${outside} directory; ln -s /proc/self/fd/0 magic
    mkfifo fifo; cp "$EVIL" evil
  `);
  await world.gone("evil");
  await world.quiet();
  assertEquals(world.clamd.scans, 1);
  assertEquals(Deno.readFileSync(`${outside}/evil`), EICAR);
  for (const name of ["file", "directory", "magic", "fifo"]) assert(world.has(name), name);
});

Deno.test(
  { name: "nested watches scan once, excluded directories not at all", ignore },
  async () => {
    await using world = await VclientWorld.start({
      before: "mkdir -p in/deep cache/in",
      arguments: (path) => [
        ...[
          "--watch",
          path,
          "-w",
          `${path}/in`,
          "-w",
          `${path}/in/deep/`,
          "-w",
          `${path}/cache/in`,
        ],
        ...["--exclude", `${path}/cache`, "-e", `${path}/later/`, "-e", "/nonexistent/place"],
      ],
    });
    await world.shell(`
    mkdir later; for d in . in in/deep cache later cache/in; do echo $d > $d/file; done
    cp "$EVIL" later/evil; cp "$EVIL" cache/evil; cp "$EVIL" cache/in/evil
  `);
    await waitFor("what is watched below an exclusion", () => !world.has("cache/in/evil"));
    await world.quiet();
    assertEquals(world.clamd.scans, 5);
    assert(world.has("later/evil") && world.has("cache/evil"));
    await world.client.logged(/--exclude \/nonexistent\/place lies in no watched directory/);
  },
);

Deno.test(
  { name: "what is there at the start stays, or is scanned with --scan-existing", ignore },
  async () => {
    const before = `mkdir d; for i in $(seq 50); do echo $i > d/$i; done; cp "$EVIL" d/evil`;
    await using without = await VclientWorld.prepare();
    await without.clamd.start();
    await without.shell(before); // and the start follows at once
    await without.startClient();
    await without.shell(`cp "$EVIL" new`);
    await without.gone("new");
    await without.quiet();
    assert(without.has("d/evil"));
    assertEquals(without.clamd.scans, 1);

    await using existing = await VclientWorld.start({
      before,
      arguments: () => ["--scan-existing"],
    });
    await existing.gone("d/evil");
    await existing.client.logged(
      /scanned what was in the directories, in .* s: 51 scanned, 1 infected/,
    );
    assertEquals((await existing.files()).length, 50);
  },
);

Deno.test(
  { name: "I8: only libc and the service manager's variables are asked for", ignore },
  async () => {
    await using world = await VclientWorld.prepare();
    const audit = `${scratchDirectory("audit")}/permissions`;
    await world.clamd.start();
    await world.startClient({ DENO_AUDIT_PERMISSIONS: audit });
    await world.shell(`cp "$EVIL" evil`);
    await waitFor("it works", () => !world.has("evil"));
    await world.client.stop();
    const asked = Deno.readTextFileSync(audit).trim().split("\n").map((line) => JSON.parse(line));
    for (const { permission } of asked) assertMatch(permission, /^(ffi|env)$/);
  },
);

/** What may listen at a `--clamd-socket` and takes no descriptor. */
const ELSEWHERE: Readonly<
  Record<string, (clamd: Clamd) => Promise<AsyncDisposable & { readonly path: string }>>
> = {
  "a socket that is forwarded": (clamd) => Promise.resolve(new ForwardedSocket(clamd.socket)),
  "clamd-vproxy": async (clamd) => {
    const uds = `${scratchDirectory("vproxy")}/vm`;
    const proxy = await Daemon.start("vproxy", ["--uds", uds, "--clamd", clamd.socket]);
    return {
      path: `${uds}_3400`,
      [Symbol.asyncDispose]: () => proxy[Symbol.asyncDispose](),
    };
  },
};

for (const [what, open] of Object.entries(ELSEWHERE)) {
  Deno.test({ name: `--socket: ${what} is sent the content`, ignore }, async () => {
    await using clamd = await Clamd.start();
    await using elsewhere = await open(clamd);
    const watched = scratchDirectory("watched");
    const has = (name: string) => [...Deno.readDirSync(watched)].some((file) => file.name === name);
    await using client = await Daemon.start("vclient", [
      ...["--watch", watched, "--socket", "--clamd-socket", elsewhere.path],
    ]);
    await Deno.writeTextFile(`${watched}/clean`, "fine");
    for (const name of ["first", "second"]) {
      await Deno.writeFile(`${watched}/${name}`, EICAR);
      await waitFor(
        () => `${name} is deleted; the log:\n${client.log}`,
        () => !has(name),
      );
    }
    await clamd.kill();
    await Deno.writeFile(`${watched}/meanwhile`, EICAR);
    await waitFor("it was tried", () => /meanwhile could not be scanned/.test(client.log));
    await clamd.start();
    await waitFor(
      () => `it is deleted once clamd is back; the log:\n${client.log}`,
      () => !has("meanwhile"),
    );
    assertEquals(await Deno.readTextFile(`${watched}/clean`), "fine");
    assertEquals(client.log.match(/could not be scanned/g)?.length, 1, client.log);
    assertEquals(await client.stop(), 0);
  });
}

Deno.test(
  {
    name:
      "directories that are moved in while the first watches are set are scanned, what was there is not",
    ignore,
  },
  async () => {
    const count = 150;
    await using world = await VclientWorld.prepare({
      before:
        `mkdir t; cd t; for i in $(seq ${count}); do mkdir $i; (cd $i; mkdir $(seq 150)); done`,
    });
    const outside = `${world.watched}.outside`;
    await world.shell(`
      cp "$EVIL" t/before
      for i in $(seq ${count}); do mkdir -p ${outside}/$i/below; cp "$EVIL" ${outside}/$i/below/evil; done
    `);
    await world.clamd.start();
    await sleep(1100); // what changes in the tick in which it starts would be news
    const client = world.launchClient();
    await waitFor("it sets watches", () => watches(client.pid) > 0);
    for (let i = 1; i <= count; i++) {
      Deno.renameSync(`${outside}/${i}`, `${world.watched}/t/${i}/150/moved`);
    }
    await waitFor("it is ready", () => client.said("READY=1"));
    await waitFor("they were scanned", async () => (await world.files()).length === 1);
    assertEquals(await world.files(), ["t/before"]);
  },
);
