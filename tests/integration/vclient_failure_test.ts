/** clamd-vclient where something fails: each row of its document, and what goes beyond. */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals, assertLess, assertMatch, assertNotMatch } from "@std/assert";
import { MemoryFilesystem } from "../attack/support/memory_filesystem.ts";
import { SIGNATURE } from "../support/clamd.ts";
import { marked, must, run } from "../support/command.ts";
import { Daemon } from "../support/daemon.ts";
import { EICAR } from "../support/eicar.ts";
import { hasProgram, obstacles } from "../support/prerequisites.ts";
import { scratchDirectory } from "../support/scratch.ts";
import { endsStream, RawClamd } from "../support/stream_peer.ts";
import { UserSocket } from "../support/user_socket.ts";
import { VclientWorld } from "../support/vclient_world.ts";
import { sleep, waitFor } from "../support/wait.ts";

const ignore = !hasProgram("clamd");
const STACK_TRACE = /^\s+at .*\.ts:\d+|nobody foresaw/m;

/** Starts the client with these arguments; how it ends, and what it says. */
async function refused(...args: string[]): Promise<{ code: number; log: string }> {
  await using client = Daemon.launch("vclient", args);
  const code = await client.exitCode();
  assertNotMatch(client.log, STACK_TRACE);
  return { code, log: client.log };
}

Deno.test("mistakes on the command line are named, and end it with 2", async () => {
  const path = scratchDirectory("mistakes");
  for (
    const [args, message] of [
      [[], /--watch DIRECTORY is required/],
      [["-w", path, "--action", "quarantine"], /quarantine needs --quarantine-dir/],
      [["-w", path, "--action", "remove"], /--action needs one of log, delete, quarantine/],
      [["-w", path, "--socket", "--uds", "/x"], /--socket is a clamd in this machine/],
      [["-w", path, "--scan-concurrency", "0"], /--scan-concurrency needs a whole number/],
      [["-w", path, "--wacth", path], /unknown option --wacth; did you mean --watch/],
    ] as const
  ) {
    const { code, log } = await refused(...args);
    assertEquals([code, message.test(log)], [2, true], log);
  }
});

Deno.test("places that cannot be used are named, and end it with 1", async () => {
  const path = scratchDirectory("places");
  Deno.writeTextFileSync(`${path}/file`, "");
  for (
    const [args, message] of [
      [["-w", path, "-w", `${path}/none`], /--watch .*\/none: there is no such .*BindPaths=/],
      [["-w", `${path}/file`], /--watch .*\/file: is not a directory/],
      [["-w", path, "-e", path], /is to be watched, and is excluded too/],
      [
        ["-w", path, "-a", "quarantine", "--quarantine-dir", path],
        /is to be watched, and is the quarantine too/,
      ],
      [
        ["-w", path, "-a", "quarantine", "--quarantine-dir", `${path}/none/q`],
        /--quarantine-dir .*\/none\/q cannot be used: .*ENOENT.*BindPaths=/,
      ],
    ] as const
  ) {
    const { code, log } = await refused(...args, "--socket");
    assertEquals([code, message.test(log)], [1, true], log);
  }
});

Deno.test({
  name: "directories that are read-only are named before there is malware in them",
  ignore: Deno.uid() !== 0,
}, async () => {
  const path = scratchDirectory("read-only");
  await using _ = await MemoryFilesystem.mount(path);
  await must("mount", ["-o", "remount,ro", path]);
  const watching = ["-w", path, "--socket", "--clamd-socket", "/none"];
  const warning =
    /--watch .*read-only-\d+ is read-only: malware .* cannot be removed; .*BindPaths=/;
  assertMatch((await refused(...watching)).log, warning);
  assertNotMatch((await refused(...watching, "--action", "log")).log, warning);
  const { code, log } = await refused(
    ...["-w", scratchDirectory("watched"), "--socket", "-a", "quarantine"],
    ...["--quarantine-dir", `${path}/q`],
  );
  assertEquals(code, 1);
  assertMatch(log, /--quarantine-dir .* cannot be used: .*EROFS.*BindPaths=/);
});

Deno.test({
  name: "a directory that may not be read is named, and ends it with 1",
  ignore: Deno.uid() !== 0 || !hasProgram("setpriv"),
}, async () => {
  const path = scratchDirectory("unreadable");
  Deno.chownSync(path, 65534, 65534);
  // As any user: root, who reads the program, without what makes permissions nothing to him.
  const user = ["setpriv", "--inh-caps=-all", "--bounding-set=-all"];
  for (const mode of [0o700, 0o711, 0o744]) {
    Deno.chmodSync(path, mode);
    await using client = Daemon.launch("vclient", ["-w", path, "--socket"], {}, user);
    assertEquals(await client.exitCode(), 1);
    assertMatch(client.log, /--watch .*unreadable-\d+: no permission to read it; /);
  }
});

Deno.test("without a scanner it refuses to start, and says what was tried and what to do", async () => {
  const path = scratchDirectory("refuses");
  const local = await refused("-w", path, "--socket", "--clamd-socket", `${path}/none.ctl`);
  assertEquals(local.code, 1);
  assertMatch(
    local.log,
    /no scanner answers \(there is no socket .*\/none\.ctl.*Start clamd.*--wait/,
  );
  const proxied = await refused(
    ...["-w", path, "--uds", `${path}/vm`, "--port", "77", "--clamd-socket", "/none"],
    ...["--quarantine-dir", `${path}/never`],
  );
  assertMatch(proxied.log, /--quarantine-dir changes nothing without --action quarantine/);
  assertEquals([...Deno.readDirSync(path)].map(({ name }) => name).includes("never"), false);
  assertMatch(proxied.log, /--clamd-socket changes nothing without --socket/);
  assertEquals(proxied.code, 1);
  assertMatch(
    proxied.log,
    /no socket .*\/vm_77: does clamd-vproxy.*Start clamd-vproxy.*\/vm_77.*--wait/,
  );
});

Deno.test(
  { name: "--wait waits for a scanner, and misses nothing meanwhile", ignore },
  async () => {
    await using world = await VclientWorld.prepare({ arguments: () => ["--wait"] });
    const client = world.launchClient();
    await client.logged(/waiting for a scanner \(there is no socket/);
    await waitFor(
      "the service manager hears why",
      () => client.said("STATUS=waiting for a scanner"),
    );
    await world.shell(`cp "$EVIL" evil`);
    await sleep(500);
    assert(!client.said("READY=1"));
    await world.clamd.start();
    await waitFor("it is ready", () => client.said("READY=1"));
    await world.gone("evil");
    assertEquals(await client.stop(), 0);
  },
);

Deno.test("a stop request while it waits ends it with 0, and tells what is left", async () => {
  const path = scratchDirectory("waits");
  await using client = Daemon.launch("vclient", ["-w", path, "--uds", `${path}/vm`, "--wait"]);
  await client.logged(/waiting for a scanner/);
  await waitFor("all watches are set", () => client.said("STATUS=waiting for a scanner"));
  for (const name of ["one", "two"]) Deno.writeTextFileSync(`${path}/${name}`, name);
  await sleep(500);
  assertEquals(await client.stop(), 0);
  assert(!client.said("READY=1"));
  assertMatch(client.log, /^<4>2 files were still to be scanned at the stop/m);
});

for (const throughProxy of [false, true]) {
  const scanner = throughProxy ? "clamd-vproxy" : "clamd";
  Deno.test(
    { name: `I3: ${scanner} goes away and comes back: nothing is lost`, ignore },
    async () => {
      await using world = await VclientWorld.start({ throughProxy });
      await world.shell("echo clean > clean");
      await waitFor("it works", () => world.clamd.scans === 1);
      if (throughProxy) await world.proxy[Symbol.asyncDispose]();
      else await world.clamd.kill();
      await world.shell(`cp "$EVIL" evil; cp "$EVIL" before`);
      // Or the first file's verdict was still on its way.
      await world.client.logged(/(evil|before|clean) could not be scanned: /);
      await world.client.logged(/files wait until the scanner answers again/);
      await world.shell(`
      mv before after
      for i in $(seq 500); do cp "$EVIL" evil$i; echo $i > clean$i; done
      mkdir d; mv evil1 d/evil1
    `);
      await sleep(500);
      assert(world.has("evil") && world.has("after") && world.has("d/evil1"), "nothing is deleted");
      assert(
        world.user.lines.some((line) =>
          /^Scan error for file .*\/(evil|before|clean): /.test(line)
        ),
      );
      if (throughProxy) await world.startProxy();
      else await world.clamd.start();
      await world.gone("evil", "after", "evil2", "evil500", "d/evil1");
      await waitFor("all are dealt with", async () => (await world.files()).length === 501);
      await world.client.logged(/the scanner answers again/);
    },
  );
}

Deno.test({ name: "clamd goes away behind the proxy, and comes back", ignore }, async () => {
  await using world = await VclientWorld.start({ throughProxy: true });
  await world.clamd.kill();
  await world.shell(`cp "$EVIL" evil`);
  await world.client.logged(/evil could not be scanned: /);
  await sleep(500);
  assert(world.has("evil"));
  await world.clamd.start();
  await world.gone("evil");
});

Deno.test(
  { name: "a proxy with fewer places than scans in flight fails none of them", ignore },
  async () => {
    const proxyArguments = ["--max-connections-per-guest", "1"];
    await using world = await VclientWorld.start({ throughProxy: true, proxyArguments });
    await world.shell(`for i in $(seq 100); do echo $i > clean$i; cp "$EVIL" evil$i; done`);
    await waitFor("all are dealt with", async () => (await world.files()).length === 100);
    await world.quiet();
    assertNotMatch(world.client.log, /could not be scanned/);
  },
);

Deno.test(
  { name: "a file beyond clamd's limits is reported once, and not deleted", ignore },
  async () => {
    for (const throughProxy of [false, true]) {
      await using world = await VclientWorld.start({
        throughProxy,
        clamd: { MaxFileSize: "1M", MaxScanSize: "1M", StreamMaxLength: "3M" },
      });
      await world.shell(`
      for size in 2 5; do cp "$EVIL" $size; truncate -s $\{size}M $size; done
      cp "$EVIL" small; truncate -s 500K small
    `);
      await world.gone("small");
      for (const size of ["2", "5"]) {
        await world.client.logged(new RegExp(`/${size} could not be scanned: .*(raise|limit)`));
      }
      await world.shell("touch again"); // and a look at it does not tell again
      await sleep(1500);
      assertEquals(await world.files(), ["2", "5", "again"]);
      const errors = world.user.lines.filter((line) => line.startsWith("Scan error for file "));
      assertEquals(errors.length, 2, errors.join());
    }
  },
);

/** A clamd that lets a test act between the end of a stream and the verdict on it. */
function clamdThat(betweenStreamAndVerdict: () => void): RawClamd {
  return RawClamd.start(async (connection) => {
    await connection.receive((received) =>
      endsStream(received) || /^z(PING|VERSION)\0$/.test(received)
    );
    if (connection.received === "zPING\0") return await connection.reply("PONG\0");
    if (connection.received === "zVERSION\0") return await connection.reply("ClamAV 1.4\0");
    betweenStreamAndVerdict();
    const isEvil = connection.received.includes("EICAR-STANDARD");
    await connection.reply("stream: ", isEvil ? `${SIGNATURE} FOUND\n` : "OK\n");
  });
}

Deno.test("I3: an innocent file that takes the scanned one's place survives", async () => {
  const path = scratchDirectory("replaced");
  const uds = `${scratchDirectory("raw")}/vm`;
  let replacements = 0;
  await using clamd = clamdThat(() => {
    if (replacements++ > 0) return;
    Deno.writeTextFileSync(`${path}/new`, "innocent");
    Deno.renameSync(`${path}/new`, `${path}/evil`);
  });
  Deno.symlinkSync(clamd.socket, `${uds}_3400`);
  await using client = await Daemon.start("vclient", ["-w", path, "--uds", uds]);
  Deno.writeFileSync(`${path}/evil`, EICAR);
  await waitFor(
    "both are scanned",
    () => clamd.received.filter((one) => one.startsWith("zINS")).length >= 2,
  );
  await sleep(500);
  assertEquals(Deno.readTextFileSync(`${path}/evil`), "innocent");
  assertEquals(await client.stop(), 0);
});

Deno.test("I3: an infected file that was changed while it was scanned is scanned again first", async () => {
  const path = scratchDirectory("changed");
  const uds = `${scratchDirectory("raw")}/vm`;
  let scans = 0;
  await using clamd = clamdThat(() => {
    if (scans++ === 0) Deno.writeTextFileSync(`${path}/file`, "cleaned");
  });
  Deno.symlinkSync(clamd.socket, `${uds}_3400`);
  await using client = await Daemon.start("vclient", ["-w", path, "--uds", uds, "--debug"]);
  Deno.writeFileSync(`${path}/file`, EICAR);
  await client.logged(/file changed while it was scanned/);
  await waitFor("it is scanned again", () => scans >= 2);
  await sleep(300);
  assertEquals(Deno.readTextFileSync(`${path}/file`), "cleaned");
});

Deno.test(
  { name: "a quarantine that fails: an error is logged, the file is not deleted", ignore },
  async () => {
    const quarantine = `${scratchDirectory("quarantine")}/q`;
    await using world = await VclientWorld.start({
      arguments: () => ["--action", "quarantine", "--quarantine-dir", quarantine],
    });
    Deno.removeSync(quarantine);
    await world.shell(`cp "$EVIL" evil`);
    await world.client.logged(/^<3>.*\/evil: .* was found, and the file is still there: .*ENOENT/);
    await sleep(300);
    assertEquals(Deno.readFileSync(`${world.watched}/evil`), EICAR);
  },
);

/** What the shipped units leave of root's capabilities. */
const AS_UNIT = [
  "setpriv",
  "--no-new-privs",
  "--inh-caps=-all",
  "--bounding-set=-all,+dac_override,+fowner,+lease",
];

Deno.test(
  {
    name:
      "I6: another user's malware that finds no room in a quarantine on its own disk is told once",
    ignore: ignore || obstacles().length > 0 || !hasProgram("setpriv"),
  },
  async () => {
    const disk = scratchDirectory("disk");
    await must("mount", ["-t", "tmpfs", "-o", "size=3m", "tmpfs", disk]);
    try {
      for (const name of ["watched", "quarantine"]) Deno.mkdirSync(`${disk}/${name}`);
      const place = ["--watch", `${disk}/watched`, "--quarantine-dir", `${disk}/quarantine`];
      await using world = await VclientWorld.start({
        arguments: () => ["--action", "quarantine", ...place],
        under: AS_UNIT,
      });
      await world.shell(`
        (cat "$EVIL"; head -c 1200000 /dev/urandom) >${disk}/evil
        chown 1000:1000 ${disk}/evil
        fallocate -l 1M ${disk}/full
        mv ${disk}/evil ${disk}/watched/evil
      `);
      await world.client.logged(/evil: .* was found, and the file is still there: .*ENOSPC/);
      await sleep(5000);
      assertEquals(world.user.lines.length, 1);
      assertLess(world.clamd.scans, 6);
      assertEquals([...Deno.readDirSync(`${disk}/quarantine`)], []);
      Deno.removeSync(`${disk}/full`);
      await waitFor("it is kept", () => [...Deno.readDirSync(`${disk}/watched`)].length === 0);
    } finally {
      await run("umount", ["-l", disk]);
    }
  },
);

Deno.test(
  {
    name: "I6: a quarantine from which nothing can be removed is told of once, and does not grow",
    ignore: ignore || obstacles().length > 0,
  },
  async () => {
    const quarantine = scratchDirectory("quarantine");
    await must("mount", ["-t", "tmpfs", "tmpfs", quarantine]);
    const names = () => [...Deno.readDirSync(quarantine)].map(({ name }) => name).sort();
    try {
      await using world = await VclientWorld.start({
        arguments: () => ["--action", "quarantine", "--quarantine-dir", quarantine],
      });
      await must("chattr", ["+a", quarantine]);
      await world.shell(`cp "$EVIL" evil`);
      await world.client.logged(/evil: .* the file is still there: in the quarantine, .*EPERM/);
      const before = names();
      await sleep(4000); // it is tried again
      assertEquals(world.user.lines.length, 1);
      assertEquals(names(), before);
      for (const name of before.filter((one) => !one.endsWith(".json"))) {
        assertEquals(Deno.statSync(`${quarantine}/${name}`).size, 0);
      }
      await must("chattr", ["-a", quarantine]);
      await world.gone("evil");
      assertEquals(names().filter((name) => before.includes(name)), []);
    } finally {
      await run("umount", ["-l", quarantine]);
    }
  },
);

Deno.test(
  { name: "a notification socket that is not there: a warning, and it goes on", ignore },
  async () => {
    const notifySocket = `${scratchDirectory("nobody")}/notify.sock`;
    await using world = await VclientWorld.start({ notifySocket });
    await world.shell(`cp "$EVIL" evil1; cp "$EVIL" evil2`);
    await world.gone("evil1", "evil2");
    await world.client.logged(/^<4>the user could not be told over .*notify\.sock/);
    await using user = UserSocket.listen(notifySocket);
    await world.shell(`cp "$EVIL" evil3`);
    await waitFor("the user is told again", () => user.lines.length === 1);
  },
);

Deno.test(
  { name: "SIGTERM ends it with 0 while scans hang, and tells what is left", ignore },
  async () => {
    await using world = await VclientWorld.start();
    world.clamd.freeze();
    await world.shell(`for i in $(seq 19); do echo $i > clean$i; done; cp "$EVIL" evil`);
    await sleep(500);
    const before = Date.now();
    assertEquals(await world.client.stop(), 0);
    assertLess(Date.now() - before, 20_000);
    assert(world.has("evil"));
    assert(world.client.said("STOPPING=1"));
    assertMatch(
      world.client.log,
      /^<4>20 files were still to be scanned .* --scan-existing only$/m,
    );
    assertNotMatch(world.client.log, /could not be scanned/);
    assertEquals(world.user.lines, []);
  },
);

Deno.test(
  { name: "I6: without descriptors for a while it scans all the same afterwards", ignore },
  async () => {
    await using world = await VclientWorld.start();
    await world.quiet();
    const limit = (soft: number) =>
      must("prlimit", ["--pid", `${world.client.pid}`, `--nofile=${soft}:1024`]);
    await limit(12);
    await world.shell('cp "$EVIL" during');
    await sleep(7000); // the scanner is asked whether it is there
    await limit(1024);
    await world.shell('cp "$EVIL" after');
    await world.gone("during", "after");
  },
);

Deno.test(
  { name: "what could not be scanned is tried again, though its directory was renamed", ignore },
  async () => {
    const limits = (size: string) => ({ MaxFileSize: size, MaxScanSize: size });
    await using world = await VclientWorld.start({ clamd: limits("1M") });
    await world.shell(
      'mkdir kept moved; for d in kept moved; do cp "$EVIL" $d/big; truncate -s 3M $d/big; done',
    );
    for (const place of ["kept", "moved"]) {
      await world.client.logged(new RegExp(`${place}/big could not`));
    }
    await world.shell("mv moved renamed");
    await world.quiet();
    await world.clamd.stop();
    await world.shell("printf x > poke");
    await world.client.logged(/files wait until the scanner answers/);
    world.clamd.configure(limits("100M"));
    await world.clamd.start();
    await world.gone("kept/big", "renamed/big");
  },
);

const WHEN = ["before it starts", "while it runs, in a directory that is renamed then"];
for (const [what, make, mode] of [["directory", "mkdir", 40000], ["file", "touch", 100000]]) {
  for (const when of WHEN) {
    Deno.test({
      name: `I7: a file system that never answers is mounted on a ${what} below: ${when}`,
      ignore: ignore || !canMountFuse(),
    }, async () => {
      await using world = await VclientWorld.prepare({
        before: `mkdir above other; ${make} above/mounted`,
      });
      const mount = async () => {
        const child = new Deno.Command("sh", {
          args: ["-c", HUNG, "sh", `${world.watched}/above/mounted`, `${mode}`],
          env: marked(),
          stdin: "piped",
          stdout: "piped",
        }).spawn();
        const { value } = await child.stdout.getReader().read();
        assertEquals(new TextDecoder().decode(value), "mounted\n");
        return child;
      };
      await world.clamd.start();
      let child: Deno.ChildProcess | undefined;
      try {
        if (when === "before it starts") child = await mount();
        await world.startClient();
        child ??= await mount();
        await world.shell("mv above renamed");
        await world.shell('cp "$EVIL" other/evil; cp "$EVIL" renamed/evil');
        await world.gone("other/evil", "renamed/evil");
      } finally {
        await child?.stdin.close(); // it unmounts
        await child?.status;
      }
    });
  }
}

/** Mounts what nobody serves, until its input ends (fuse(4)). */
const HUNG = `
  exec 3<>/dev/fuse
  mount -i -t fuse -o fd=3,rootmode=$2,user_id=0,group_id=0 hung "$1"
  echo mounted
  cat >/dev/null
  umount -l hung 2>/dev/null || umount -l "$(findmnt -n -o TARGET hung)"
`;

function canMountFuse(): boolean {
  try {
    Deno.openSync("/dev/fuse", { read: true, write: true }).close();
    return Deno.uid() === 0;
  } catch {
    return false; // no such device, or not for us
  }
}
