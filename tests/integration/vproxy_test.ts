/** clamd-vproxy as users run it, in front of a real clamd. AF_VSOCK itself: tests/vm. */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals, assertLess, assertMatch, assertNotMatch } from "@std/assert";
import { Clamd, SIGNATURE } from "../support/clamd.ts";
import { run } from "../support/command.ts";
import { Daemon } from "../support/daemon.ts";
import { clean, infected } from "../support/eicar.ts";
import { hasProgram } from "../support/prerequisites.ts";
import { scratchDirectory } from "../support/scratch.ts";
import { exists } from "../support/tree.ts";
import { ask, Guest, instream } from "../support/stream_peer.ts";
import { sleep, waitFor } from "../support/wait.ts";

const MIB = 1024 ** 2;
const hasClamd = hasProgram("clamd");

/** A path for `--uds`, and where its guests connect. */
function newUds(): { uds: string; path: string } {
  const uds = `${scratchDirectory("vproxy")}/vm`;
  return { uds, path: `${uds}_3400` };
}

Deno.test("clamd-vproxy in front of a real clamd", { ignore: !hasClamd }, async (t) => {
  await using clamd = await Clamd.start({ StreamMaxLength: "100M" });
  const ours = newUds();
  const theirs = newUds();
  await using proxy = await Daemon.start("vproxy", [
    "--uds",
    ours.uds,
    "--uds",
    theirs.uds,
    "--clamd",
    clamd.socket,
    "--max-connections",
    "10",
    "--max-stream-size",
    "200M",
    "--debug",
  ]);
  const path = ours.path;

  await t.step("answers PING and VERSION", async () => {
    assertEquals(await ask(path, "zPING\0"), "PONG\0");
    assertEquals(await ask(path, "nPING\n"), "PONG\n");
    assertMatch(await ask(path, "nVERSION\n"), /^ClamAV [0-9.]+.*\n$/);
  });

  await t.step("clean and infected streams, in both forms", async () => {
    assertEquals(await ask(path, instream(clean(1, 100_000))), "stream: OK\0");
    const found = `stream: ${SIGNATURE} FOUND`;
    assertEquals(await ask(path, instream(infected())), `${found}\0`);
    assertEquals(await ask(path, instream(infected(5000), 7, "nINSTREAM\n")), `${found}\n`);
    assertEquals(await ask(path, instream(infected()), 1), `${found}\0`, "byte by byte");
  });

  await t.step("the log names the guest and what was found", async () => {
    await proxy.logged(new RegExp(`${path}: INSTREAM of 68 bytes .*${SIGNATURE} FOUND`));
  });

  await t.step("clamd's own limit is heard while the guest sends", async () => {
    const request = instream(new Uint8Array(120 * MIB), MIB);
    assertEquals(await ask(path, request), "INSTREAM size limit exceeded. ERROR\0");
  });

  await t.step("commands that are not allowed never reach clamd", async () => {
    const before = clamd.log();
    for (const request of ["zSHUTDOWN\0", "nRELOAD\n", "zIDSESSION\0zPING\0", "SCAN /etc\n"]) {
      assertEquals(await ask(path, request), "ERROR: Command not allowed\n");
    }
    assert(await clamd.ping(), "it was not shut down");
    assertEquals(clamd.log(), before, "nor asked to scan or reload");
  });

  const clamdscan = { name: "clamdscan is an ordinary client", ignore: !hasProgram("clamdscan") };
  await t.step({
    ...clamdscan,
    fn: async () => {
      const folder = scratchDirectory("clamdscan");
      Deno.writeTextFileSync(`${folder}/clamd.conf`, `LocalSocket ${path}\n`);
      Deno.writeFileSync(`${folder}/bad`, infected(200_000));
      Deno.writeFileSync(`${folder}/good`, clean(2, 200_000));
      const args = [`--config-file=${folder}/clamd.conf`, "--stream", "--no-summary"];
      const bad = await run("clamdscan", [...args, `${folder}/bad`]);
      assertEquals(bad.code, 1, bad.stderr);
      assertMatch(new TextDecoder().decode(bad.stdout), new RegExp(`bad: ${SIGNATURE} FOUND`));
      assertEquals((await run("clamdscan", [...args, `${folder}/good`])).code, 0);
    },
  });

  await t.step(
    "I7: 100 connections at once of one guest, and another guest is served",
    async () => {
      const guests = await Promise.all(Array.from({ length: 100 }, () => Guest.connect(path)));
      const answers = guests.slice(4).map((guest) => guest.answer());
      assertEquals(await ask(theirs.path, instream(clean(3, MIB))), "stream: OK\0");
      for (const answer of await Promise.all(answers)) {
        assertEquals(answer, "ERROR: Too many connections\n");
      }
      for (const guest of guests) guest.close();
      await waitFor("places are free", async () => await ask(path, "zPING\0") === "PONG\0");
    },
  );

  await t.step(
    "I6: floods, 1 MiB commands, 4 GiB chunks: memory under 100 MiB, nothing left open",
    async () => {
      const before = proxy.descriptors();
      const rough = [
        () => ask(path, new Uint8Array(MIB).fill(0x7a)),
        () => ask(path, "zINSTREAM\0\xff\xff\xff\xff" + "x".repeat(MIB)),
        () => ask(path, instream(new Uint8Array(24 * MIB), 24 * MIB)),
        async () => (await Guest.connect(path)).close(),
        async () => {
          const guest = await Guest.connect(path);
          await guest.send("zINSTREAM\0\x01\x00\x00\x00" + "x".repeat(100_000)).catch(() => {});
          guest.close();
        },
      ];
      let most = 0;
      for (let round = 0; round < 10; round++) {
        const some = Array.from({ length: 20 }, (_, i) => rough[i % rough.length]?.());
        const other = ask(theirs.path, "zPING\0");
        await Promise.all(some);
        assertEquals(await other, "PONG\0");
        most = Math.max(most, proxy.memoryMiB());
      }
      assertLess(most, 100);
      await waitFor("descriptors are closed", () => proxy.descriptors() <= before + 2);
    },
  );

  await t.step("clamd that is killed in the middle of a stream, and back again", async () => {
    using guest = await Guest.connect(path);
    await guest.send("zINSTREAM\0\0\x0f\xff\xffabc");
    await sleep(100); // so that clamd has the beginning
    await clamd.kill();
    assertMatch(await guest.answer(), /^ERROR: [ -~]+\n$/);
    assertEquals(await ask(path, "zPING\0"), "ERROR: Scanner not available\n");
    await clamd.start();
    assertEquals(await ask(path, "zPING\0"), "PONG\0");
  });

  await t.step("a flood of refusals does not flood the log", async () => {
    const warnings = () => proxy.log.split("\n").filter((line) => line.startsWith("<4>")).length;
    const before = warnings();
    for (let i = 0; i < 300; i++) await ask(path, "nSTATS\n");
    assertLess(warnings() - before, 150);
  });

  await t.step(
    "SIGTERM: exit 0, nobody is left in silence, and its sockets go with it",
    async () => {
      using idle = await Guest.connect(path);
      using scanning = await Guest.connect(path);
      await scanning.send(instream(clean(4, MIB)).subarray(0, 1000));
      await sleep(50);
      const answers = [idle.answer(), scanning.answer()];
      const code = proxy.stop();
      assertEquals(await Promise.all(answers), new Array(2).fill("ERROR: Proxy is stopping\n"));
      assertEquals(await code, 0);
      assert(proxy.said("STOPPING=1"));
      assert(!exists(path) && !exists(theirs.path));
      assertNotMatch(proxy.log, /^\s+at |nobody foresaw/m, "no failure of ours");
    },
  );
});

Deno.test("a slow guest is not given up by a clamd that waits less long than the proxy", {
  ignore: !hasClamd,
}, async () => {
  await using clamd = await Clamd.start({ ReadTimeout: "2", CommandReadTimeout: "2" });
  const { uds, path } = newUds();
  await using _ = await Daemon.start("vproxy", ["--uds", uds, "--clamd", clamd.socket]);
  using guest = await Guest.connect(path);
  const request = instream(infected(), 10);
  for (let at = 0; at < request.length; at += 10) {
    await guest.send(request.subarray(at, at + 10));
    await sleep(500);
  }
  assertEquals(await guest.answer(), `stream: ${SIGNATURE} FOUND\0`);
});

Deno.test(
  "killed without warning, it starts again on the same socket",
  { ignore: !hasClamd },
  async () => {
    await using clamd = await Clamd.start();
    const { uds, path } = newUds();
    const args = ["--uds", uds, "--clamd", clamd.socket];
    const first = await Daemon.start("vproxy", args);
    await first.stop("SIGKILL");
    await first[Symbol.asyncDispose]();
    assert(exists(path), "the crash left it");
    await using _second = await Daemon.start("vproxy", args);
    assertEquals(await ask(path, "zPING\0"), "PONG\0");
    await using third = Daemon.launch("vproxy", args);
    assertEquals(await third.exitCode(), 1, "the second still listens");
    assertMatch(third.log, new RegExp(`${path}: another process listens there`));
    assertEquals(await ask(path, "zPING\0"), "PONG\0");
  },
);

const LEAST = "I8: it asks Deno for nothing but libc and the service manager's variables";
Deno.test(LEAST, { ignore: !hasClamd }, async () => {
  await using clamd = await Clamd.start();
  const { uds, path } = newUds();
  const audit = `${scratchDirectory("audit")}/permissions`;
  const args = ["--uds", uds, "--clamd", clamd.socket];
  await using proxy = await Daemon.start("vproxy", args, { DENO_AUDIT_PERMISSIONS: audit });
  assertEquals(await ask(path, "zPING\0"), "PONG\0");
  assertEquals(await proxy.stop(), 0);
  const asked = Deno.readTextFileSync(audit).trim().split("\n").map((line) => JSON.parse(line));
  for (const { permission, value } of asked) {
    const isNeeded = permission === "ffi" ? /\/libc\.so\.6$/ : /^(NOTIFY_SOCKET|WATCHDOG_\w+)$/;
    assertMatch(value, isNeeded, permission);
  }
});

Deno.test("mistakes are told in words, with what to do", async (t) => {
  const { uds } = newUds();
  const cases: [string, number, string[], RegExp][] = [
    [
      "clamd's socket is missing",
      1,
      ["--uds", uds, "--clamd", "/nonexistent/clamd.ctl"],
      /there is no socket \/nonexistent\/clamd\.ctl/,
    ],
    [
      "clamd's socket is a file",
      1,
      ["--uds", uds, "--clamd", import.meta.filename ?? ""],
      /vproxy_test\.ts is no socket: give clamd's LocalSocket/,
    ],
    [
      "clamd's socket is a directory",
      1,
      ["--uds", uds, "--clamd", "/tmp/"],
      /\/tmp\/ is no socket/,
    ],
    [
      "a path that no socket can have",
      2,
      ["--uds", uds, "--clamd", `/${"x".repeat(107)}`],
      /--clamd needs the path of a socket, at most 107 bytes, got 108/,
    ],
    [
      "a socket that is given twice",
      2,
      ["--uds", uds, "--uds", `${uds}2`, "--uds", uds],
      /--uds .*\/vm is given twice: one option a guest/,
    ],
    ["an unknown option", 2, ["--udx", uds], /--udx.*did you mean --uds/],
    [
      "a limit that makes no sense",
      2,
      ["--max-connections", "0"],
      /--max-connections needs a whole number from 1/,
    ],
    ["an argument", 2, ["run"], /unexpected argument run/],
  ];
  for (const [name, code, args, message] of cases) {
    await t.step(name, async () => {
      await using daemon = Daemon.launch("vproxy", args);
      assertEquals(await daemon.exitCode(), code);
      assertMatch(daemon.log, message);
      assertNotMatch(daemon.log, /^\s+at |nobody foresaw/m, "no failure of ours");
    });
  }
});

Deno.test(
  "a socket that is removed, or whose folder is, comes back",
  { ignore: !hasClamd },
  async () => {
    await using clamd = await Clamd.start();
    const folder = scratchDirectory("vproxy");
    const path = `${folder}/machine/vm_3400`;
    Deno.mkdirSync(`${folder}/machine`);
    const args = ["--uds", `${folder}/machine/vm`, "--clamd", clamd.socket];
    await using proxy = await Daemon.start("vproxy", args);
    const isServed = async () =>
      exists(path) && await ask(path, "zPING\0").catch(() => "") === "PONG\0";
    assert(await isServed());
    Deno.removeSync(path);
    await waitFor("it is served again", isServed);
    await proxy.logged(/vm_3400 was removed or replaced: listening there anew/);
    Deno.removeSync(`${folder}/machine`, { recursive: true });
    await proxy.logged(
      /was removed or replaced; cannot listen on .*its folder does not exist; create it/,
    );
    Deno.mkdirSync(`${folder}/machine`);
    await waitFor("it is served again", isServed);
    assertEquals(await proxy.stop(), 0);
    assert(!exists(path));
  },
);
