/** virtiofs-notify as users run it, over its Unix socket. AF_VSOCK itself: tests/vm. */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals, assertLess, assertMatch, assertNotMatch } from "@std/assert";
import { fromText } from "../../ffi/byte_string.ts";
import { Reactor } from "../../ffi/reactor.ts";
import { logger } from "../../src/logging/logging.ts";
import { NotificationServer } from "../../src/notify/server.ts";
import { Daemon } from "../support/daemon.ts";
import { hasProgram } from "../support/prerequisites.ts";
import { scratchDirectory } from "../support/scratch.ts";
import { Guest as Peer } from "../support/stream_peer.ts";
import { exists } from "../support/tree.ts";
import { sleep, waitFor } from "../support/wait.ts";

Deno.test("virtiofs-notify", async (t) => {
  const [docs, music] = [scratchDirectory("docs"), scratchDirectory("music")];
  const uds = `${scratchDirectory("notify")}/vm`;
  const path = `${uds}_3401`;
  const maps = ["--map", `docs=${docs}`, "-m", `music=${music}`];
  await using daemon = await Daemon.start("notify", ["--uds", uds, ...maps, "--debug"]);
  const trigger = (folder: string) => exists(`${folder}/.virtiofs-refresh`);
  /** As the gate does: the message, then the end of sending; what comes back until the end. */
  const notify = async (message: string): Promise<string> => {
    using peer = await Peer.connect(path);
    await peer.send(message);
    await peer.endSending();
    return await peer.answer();
  };

  await t.step(
    "a channel's name toggles the trigger in its directory, and in no other",
    async () => {
      assertEquals(await notify("docs\n"), "");
      assert(trigger(docs) && !trigger(music));
      await notify("docs\nmusic\n");
      assert(!trigger(docs) && trigger(music));
      await notify("music\n");
    },
  );

  await t.step("a guest's watcher sees an event each time", async () => {
    using watcher = Deno.watchFs(docs);
    const seen: string[] = [];
    const watching = (async () => {
      for await (const { kind } of watcher) {
        if (kind === "create" || kind === "remove") seen.push(kind);
        if (seen.length === 2) return;
      }
    })();
    await notify("docs\n");
    // Deno tells the creation of what is not there any more as a removal.
    await waitFor("it is seen", () => seen.length === 1);
    await notify("docs\n");
    await watching;
    assertEquals(seen, ["create", "remove"]);
  });

  await t.step(
    "unknown channels and lines that are too long change nothing; the rest counts",
    async () => {
      await notify(`nonsense\n../docs\n\n${"x".repeat(5000)}\ndocs\n`);
      assert(trigger(docs));
      await daemon.logged(/unknown channel nonsense/);
      await daemon.logged(/too long/);
      await notify("docs\n");
    },
  );

  await t.step("I9: a channel's name is logged escaped", async () => {
    await notify("a\x1b[31mb\rc\n");
    await daemon.logged(/unknown channel a\\+x1b\[31mb\\+x0dc/);
  });

  await t.step("a cut last line is no notification", async () => {
    await notify("doc");
    await notify("docs");
    assert(!trigger(docs));
  });

  await t.step("the hybrid handshake is answered, for the right port", async () => {
    assertEquals(await notify("CONNECT 3401\ndocs\n"), "OK 3401\n");
    assert(trigger(docs));
    assertEquals(await notify("CONNECT 9\ndocs\n"), "");
    assert(trigger(docs), "what follows is not for us");
    await daemon.logged(/a local peer asks for port 9, but this is 3401/);
    await notify("docs\n");
  });

  await t.step(
    "a directory that is replaced (a new mount) is refreshed where it is now",
    async () => {
      Deno.renameSync(docs, `${docs}.old`);
      await notify("docs\n");
      await daemon.logged(new RegExp(`docs: ${docs} cannot be refreshed: it is gone`));
      Deno.mkdirSync(docs);
      await notify("docs\n");
      assert(trigger(docs) && !trigger(`${docs}.old`));
      await notify("docs\n");
    },
  );

  await t.step("I2: a link of the trigger's name is reported, and leads nowhere", async () => {
    const outside = scratchDirectory("outside");
    Deno.symlinkSync(`${outside}/file`, `${docs}/.virtiofs-refresh`);
    await notify("docs\n");
    await daemon.logged(/docs: .*not a regular file/);
    assert(!exists(`${outside}/file`));
    Deno.removeSync(`${docs}/.virtiofs-refresh`);
  });

  await t.step("I6: 64 silent peers and more: a new one is served, the oldest goes", async () => {
    const silent = [];
    for (let i = 0; i < 64; i++) silent.push(await Peer.connect(path));
    await sleep(50);
    silent[0]?.send("music\n"); // a sign of life
    await waitFor("the first was heard", () => trigger(music));
    await notify("docs\n");
    assert(trigger(docs));
    const gone = await Promise.race([silent[1]?.answer(), sleep(10_000).then(() => "there")]);
    assertEquals(gone, "", "the one that was silent longest");
    await silent[0]?.send("music\n");
    await waitFor("the first is still there", () => !trigger(music));
    for (const peer of silent) peer.close();
    assertLess(daemon.memoryMiB(), 100);
    await notify("docs\n");
  });

  await t.step(
    "I6: however many unknown channels a peer names, the log has a few of them",
    async () => {
      await notify(Array.from({ length: 5000 }, (_, i) => `strange ${i}\n`).join(""));
      await notify("docs\n");
      assert(trigger(docs));
      assertLess(daemon.log.match(/unknown channel strange/g)?.length ?? 0, 100);
      await notify("docs\n");
    },
  );

  await t.step("SIGTERM: exit 0, and its socket goes with it", async () => {
    assertEquals(await daemon.stop(), 0);
    assert(daemon.said("STOPPING=1"));
    assert(!exists(path));
    assertNotMatch(daemon.log, /^\s+at |nobody foresaw/m, "no failure of ours");
  });
});

Deno.test("I2: a link that is put in a mapped directory's place later is not followed", async () => {
  const folder = scratchDirectory("swapped");
  for (const name of ["docs", "real", "victim"]) Deno.mkdirSync(`${folder}/${name}`);
  Deno.symlinkSync("real", `${folder}/own`); // whoever starts it may have a link
  const uds = `${folder}/vm`;
  const maps = ["--map", `docs=${folder}/docs`, "--map", `own=${folder}/own`];
  await using daemon = await Daemon.start("notify", ["--uds", uds, ...maps]);
  await using peer = await Peer.connect(`${uds}_3401`);
  Deno.removeSync(`${folder}/docs`);
  Deno.symlinkSync("victim", `${folder}/docs`);
  await peer.send("docs\nown\n");
  await waitFor("the link of the start works", () => exists(`${folder}/real/.virtiofs-refresh`));
  await daemon.logged(/docs: .*\/docs cannot be refreshed: it is gone, or leads elsewhere/);
  assertEquals([...Deno.readDirSync(`${folder}/victim`)], []);
  Deno.removeSync(`${folder}/docs`);
  Deno.mkdirSync(`${folder}/docs`);
  await peer.send("docs\n");
  await waitFor("a directory there works again", () => exists(`${folder}/docs/.virtiofs-refresh`));
});

Deno.test("I6: peers that are dropped in the middle of what they say are no failure", async () => {
  const folder = scratchDirectory("notify");
  const reactor = new Reactor();
  const path = `${folder}/socket`;
  using server = new NotificationServer(reactor, {
    channels: new Map([[fromText("docs"), fromText(folder)]]),
    allowedCids: new Set(),
    log: logger("notify"),
  });
  server.listen({ family: "unix", path }, 3401);
  const peers = await Promise.all(Array.from({ length: 100 }, () => Peer.connect(path)));
  const talking = peers.map((peer) => peer.send("docs\n".repeat(20_000)).catch(() => {}));
  const answers = peers.map((peer) => peer.answer());
  await sleep(100);
  server[Symbol.dispose]();
  await Promise.all([...talking, ...answers]);
  for (const peer of peers) peer.close();
  await reactor.stop();
});

Deno.test("a peer that stays silent is dropped, one that talks now and then is not", async () => {
  const folder = scratchDirectory("notify");
  const reactor = new Reactor();
  const path = `${folder}/socket`;
  using server = new NotificationServer(reactor, {
    channels: new Map([[fromText("docs"), fromText(folder)]]),
    allowedCids: new Set(),
    log: logger("notify"),
    silenceMs: 500,
  });
  server.listen({ family: "unix", path }, 3401);
  using silent = await Peer.connect(path);
  using talking = await Peer.connect(path);
  const answer = talking.answer();
  const dropped = silent.answer();
  for (let i = 0; i < 10; i++) {
    await talking.send("x");
    await sleep(100);
  }
  assertEquals(await dropped, "");
  await talking.send("\ndocs\n");
  await waitFor("the other is still heard", () => exists(`${folder}/.virtiofs-refresh`));
  server[Symbol.dispose]();
  assertEquals(await answer, "");
  await reactor.stop();
});

Deno.test("a socket that is removed comes back", async () => {
  const folder = scratchDirectory("notify");
  const path = `${folder}/vm_3401`;
  await using daemon = await Daemon.start("notify", [
    "--uds",
    `${folder}/vm`,
    "--map",
    `docs=${folder}`,
  ]);
  Deno.removeSync(path);
  await daemon.logged(/vm_3401 was removed or replaced: listening there anew/);
  using peer = await Peer.connect(path);
  await peer.send("docs\n");
  await peer.endSending();
  assertEquals(await peer.answer(), "");
  assert(exists(`${folder}/.virtiofs-refresh`));
});

Deno.test({
  name: "a socket that another user left is told as such",
  ignore: Deno.uid() !== 0 || !hasProgram("setpriv"),
}, async () => {
  const another = 65534;
  const folder = scratchDirectory("sticky");
  const path = `${folder}/vm_3401`;
  {
    using _left = Deno.listen({ transport: "unix", path: `${folder}/other` });
    Deno.linkSync(`${folder}/other`, path); // this name stays
  }
  Deno.chownSync(path, another, another);
  Deno.chownSync(folder, another, another);
  Deno.chmodSync(folder, 0o1777);
  const asUser = ["setpriv", "--inh-caps=-all", "--bounding-set=-all"];
  for (const mode of [0o600, 0o666]) {
    Deno.chmodSync(path, mode);
    const args = ["--uds", `${folder}/vm`, "--map", `docs=${folder}`];
    await using daemon = Daemon.launch("notify", args, {}, asUser);
    assertEquals(await daemon.exitCode(), 1);
    assertMatch(
      daemon.log,
      /vm_3401: another user's socket is there; remove it, if nobody listens/,
    );
    assert(exists(path));
  }
});

Deno.test("I8: it asks Deno for nothing but libc and the service manager's variables", async () => {
  const folder = scratchDirectory("notify");
  const audit = `${folder}/permissions`;
  const args = ["--uds", `${folder}/vm`, "--map", `docs=${folder}`];
  await using daemon = await Daemon.start("notify", args, { DENO_AUDIT_PERMISSIONS: audit });
  assertEquals(await daemon.stop(), 0);
  for (const line of Deno.readTextFileSync(audit).trim().split("\n")) {
    const { permission, value } = JSON.parse(line);
    const isNeeded = permission === "ffi" ? /\/libc\.so\.6$/ : /^(NOTIFY_SOCKET|WATCHDOG_\w+)$/;
    assertMatch(value, isNeeded, permission);
  }
});

Deno.test("mistakes are told in words, with what to do", async (t) => {
  const folder = scratchDirectory("notify");
  const file = `${folder}/file`;
  Deno.writeTextFileSync(file, "");
  const uds = ["--uds", `${folder}/vm`];
  const cases: [string, number, string[], RegExp][] = [
    ["no map", 2, uds, /--map CHANNEL=PATH is required/],
    ["a map without =", 2, [...uds, "--map", "docs"], /--map needs CHANNEL=PATH, got "docs"/],
    [
      "a missing path",
      1,
      [...uds, "--map", "docs=/nonexistent/x"],
      /--map docs: \/nonexistent\/x: there is no such directory/,
    ],
    ["a file", 1, [...uds, "--map", `docs=${file}`], /--map docs: .*\/file: is not a directory/],
  ];
  for (const [name, code, args, message] of cases) {
    await t.step(name, async () => {
      await using daemon = Daemon.launch("notify", args);
      assertEquals(await daemon.exitCode(), code);
      assertMatch(daemon.log, message);
      assertNotMatch(daemon.log, /^\s+at |nobody foresaw/m, "no failure of ours");
    });
  }
});
