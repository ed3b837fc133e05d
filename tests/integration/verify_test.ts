/** `verify`: every fault is named with its channel and field, exit 1, nothing is changed. */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals, assertMatch, assertNotMatch } from "@std/assert";
import { must, run } from "../support/command.ts";
import { testOnEachFilesystem } from "../support/fixture.ts";
import { Gate, GATE_COMMAND, REPOSITORY } from "../support/gate.ts";
import { LoopFilesystem } from "../support/loop_filesystem.ts";
import { scratchDirectory } from "../support/scratch.ts";

interface Outcome {
  readonly code: number;
  readonly text: string;
}

async function verify(configuration: unknown, ...args: string[]): Promise<Outcome> {
  const path = `${scratchDirectory("verify")}/channels.json`;
  const text = typeof configuration === "string" ? configuration : JSON.stringify(configuration);
  await Deno.writeTextFile(path, text);
  return await gate("verify", "--config", path, ...args);
}

async function gate(...args: string[]): Promise<Outcome> {
  const result = await run(Deno.execPath(), [...GATE_COMMAND, ...args], { cwd: REPOSITORY });
  const text = new TextDecoder().decode(result.stdout) + result.stderr;
  assertNotMatch(text, /^\s+at .*\.ts:\d+|nobody foresaw/m, "a stack trace for a user's mistake");
  return { code: result.code, text };
}

const GOOD = { basePath: "/srv/files", producers: ["ann", "bob"] };

/** What is wrong, and the words that must appear. */
const FAULTS: readonly [string, unknown, readonly RegExp[]][] = [
  ["no basePath", { docs: { producers: ["ann"] } }, [/docs/, /basePath/]],
  ["no producers", { docs: { basePath: "/srv/files" } }, [/docs/, /producers/]],
  ["empty producers", { docs: { ...GOOD, producers: [] } }, [/docs/, /producers/]],
  ["a relative basePath", { docs: { ...GOOD, basePath: "files" } }, [/docs/, /basePath/]],
  ["a wrong type", { docs: { ...GOOD, debounceMs: "soon" } }, [/docs/, /debounceMs/]],
  ["a negative time", { docs: { ...GOOD, debounceMs: -1 } }, [/docs/, /debounceMs/]],
  ["an unknown key", { docs: { ...GOOD, debounce: 7 } }, [/docs/, /debounce/]],
  [
    "an unknown key in scanning",
    { docs: { ...GOOD, scanning: { infectedActoin: "delete" } } },
    [/docs/, /scanning/, /infectedActoin/],
  ],
  [
    "an unknown action",
    { docs: { ...GOOD, scanning: { infectedAction: "burn" } } },
    [/docs/, /infectedAction/],
  ],
  ["a producer with a slash", { docs: { ...GOOD, producers: ["../etc"] } }, [/docs/, /producers/]],
  ["a producer twice", { docs: { ...GOOD, producers: ["ann", "ann"] } }, [/docs/, /ann/]],
  [
    "a diode that is no producer",
    { docs: { ...GOOD, diodeProducers: ["web"] } },
    [/docs/, /diodeProducers/, /web/],
  ],
  [
    "the same basePath twice",
    { docs: GOOD, more: { ...GOOD, basePath: "/srv//files/" } },
    [/docs/, /more/, /basePath/],
  ],
  [
    "a basePath in another",
    { docs: GOOD, more: { ...GOOD, basePath: "/srv/files/share/ann" } },
    [/docs/, /more/, /basePath/],
  ],
  ["two faults, both named", {
    docs: { ...GOOD, debounceMs: "soon" },
    more: { basePath: 5, producers: ["x"] },
  }, [/docs/, /debounceMs/, /more/, /basePath/]],
  ["no JSON", '{"docs": ', [/JSON/]],
  ["not an object", [GOOD], [/object/i]],
];

for (const [what, configuration, words] of FAULTS) {
  Deno.test(`verify: ${what} is a fault in words, exit 1`, async () => {
    const { code, text } = await verify(configuration, "--offline");
    assertEquals(code, 1, text);
    for (const word of words) assertMatch(text, word);
  });
}

Deno.test("verify: I9: what a configuration holds is shown escaped", async () => {
  const { code, text } = await verify(
    { "do\u001b[2Jcs": { ...GOOD, "unk\nnown": 1 } },
    "--offline",
  );
  assertEquals(code, 1);
  assert(!text.includes("\u001b[2J"));
});

Deno.test("verify: a file that does not exist is named, exit 1", async () => {
  const { code, text } = await gate("verify", "--config", "/nonexistent/channels.json");
  assertEquals(code, 1);
  assertMatch(text, /\/nonexistent\/channels\.json/);
  const relative = await gate("verify", "--config", "nonexistent/channels.json");
  assertEquals(relative.code, 1);
  assertMatch(relative.text, /nonexistent\/channels\.json does not exist, .*: give its whole path/);
});

Deno.test("verify: names in another encoding than UTF-8 are no other names, but a fault", async () => {
  const path = `${scratchDirectory("encoding")}/channels.json`;
  const text = JSON.stringify({ docs: { ...GOOD, producers: ["b\u00fcro"] } });
  const latin1 = Uint8Array.from(text, (character) => character.charCodeAt(0));
  const utf16 = new Uint8Array(
    Uint16Array.from(`\ufeff${text}`, (unit) => unit.charCodeAt(0)).buffer,
  );
  for (const bytes of [latin1, utf16]) {
    await Deno.writeFile(path, bytes);
    const { code, text } = await gate("verify", "--offline", "--config", path);
    assertEquals(code, 1);
    assertMatch(text, /channels\.json is no text in UTF-8/);
  }
  await Deno.writeTextFile(path, `\ufeff${text}`);
  assertEquals((await gate("verify", "--offline", "--config", path)).code, 0);
});

Deno.test("verify: both vocabularies of the field are good offline, and verbose shows defaults", async () => {
  const { code, text } = await verify(
    {
      documents: {
        basePath: "/var/lib/virtiofs/documents",
        producers: ["chromium-vm", "office-vm"],
        consumers: ["reader-vm"],
        debounceMs: 1000,
        scanning: {
          infectedAction: "quarantine",
          permissive: false,
          ignoreFilePatterns: [".crdownload", "~$"],
          ignorePathPatterns: [".Trash-"],
          notifySocket: "/run/clamav/notify.sock",
        },
        notify: { guests: [10, 11], port: 3401 },
      },
      downloads: {
        basePath: "/var/lib/virtiofs/downloads",
        producers: ["web-vm", "office-vm"],
        diodeProducers: ["web-vm"],
        scanning: { enable: true },
        userNotify: { enable: true, socket: "/run/clamav/notify.sock" },
        guestNotify: { guests: [12], port: 3401 },
      },
    },
    "--offline",
    "--verbose",
  );
  assertEquals(code, 0, text);
  for (const word of [/documents/, /downloads/, /chromium-vm/, /web-vm/, /1000/, /3401/]) {
    assertMatch(text, word);
  }
});

Deno.test("verify: nothing is said to be wrong with a surprising pattern, but warned of", async () => {
  const { code, text } = await verify(
    { docs: { ...GOOD, scanning: { ignoreFilePatterns: [".part"] } } },
    "--offline",
  );
  assertEquals(code, 0, text);
  assertMatch(text, /\.part/);
});

testOnEachFilesystem(
  "verify: a good layout is good, and nothing is changed in it",
  async (kind) => {
    await using filesystem = await LoopFilesystem.create(kind, { sizeMiB: 300 });
    const basePath = await filesystem.directory();
    await Deno.mkdir(`${basePath}/share/ann`, { recursive: true });
    await Deno.mkdir(`${basePath}/share/bob`);
    for (const name of ["staging", "export", "quarantine"]) await Deno.mkdir(`${basePath}/${name}`);
    const list = () => must("find", [basePath, "-printf", "%P %y %m %U %T@\n"]);
    const before = await list();
    const { code, text } = await verify({ docs: { ...GOOD, basePath } });
    assertEquals(code, 0, text);
    assertEquals(await list(), before);
  },
);

testOnEachFilesystem("verify: I1: clamd's configuration may be anywhere", async (kind) => {
  await using filesystem = await LoopFilesystem.create(kind, { sizeMiB: 300 });
  const basePath = await filesystem.directory();
  for (const name of ["ann", "bob"]) {
    await Deno.mkdir(`${basePath}/share/${name}`, { recursive: true });
  }
  const clamd = `${scratchDirectory("clamd-conf")}/clamd.conf`;
  await Deno.writeTextFile(clamd, "AlertExceedsMax no\nMaxFileSize 1M\n");
  const docs = { ...GOOD, basePath, scanning: { maxFileSize: 2 * 1024 * 1024 } };
  const { code, text } = await verify({ docs }, "--clamd-config", clamd);
  assertEquals(code, 0, text);
  assertMatch(text, /clamd\.conf does not set "AlertExceedsMax yes"/);
  assertMatch(text, /docs\.scanning\.maxFileSize: 2 MiB is more than clamd looks at \(1 MiB/);
});

testOnEachFilesystem("verify: I4: a part on another filesystem is a fault", async (kind) => {
  await using filesystem = await LoopFilesystem.create(kind, { sizeMiB: 300 });
  const basePath = await filesystem.directory();
  await Deno.mkdir(`${basePath}/share/ann`, { recursive: true });
  await Deno.mkdir(`${basePath}/share/bob`);
  for (const name of ["staging", "export", "quarantine"]) await Deno.mkdir(`${basePath}/${name}`);
  await must("mount", ["-t", "tmpfs", "none", `${basePath}/share/bob`]);
  try {
    const { code, text } = await verify({ docs: { ...GOOD, basePath } });
    assertEquals(code, 1, text);
    assertMatch(text, /docs/);
    assertMatch(text, /bob/);
  } finally {
    await must("umount", [`${basePath}/share/bob`]);
  }
});

testOnEachFilesystem(
  "verify: what is no directory is called that, with its place",
  async (kind) => {
    await using filesystem = await LoopFilesystem.create(kind, { sizeMiB: 300 });
    const basePath = await filesystem.directory();
    await Deno.writeTextFile(`${basePath}/share`, "");
    const { code, text } = await verify({
      docs: { ...GOOD, basePath },
      more: { ...GOOD, basePath: `${basePath}/share` },
    }, "--verbose");
    assertEquals(code, 1, text);
    assert(text.includes(`${basePath}/share must be a directory on the same mount`), text);
    const { text: file } = await verify({ docs: { ...GOOD, basePath: `${basePath}/share` } });
    assert(file.includes(`docs.basePath: ${basePath}/share is no directory`), file);
    await Deno.remove(`${basePath}/share`);
    await Deno.mkdir(`${basePath}/share`);
    await Deno.symlink("/tmp", `${basePath}/share/ann`);
    const { text: shares } = await verify({ docs: { ...GOOD, basePath } });
    assert(shares.includes(`${basePath}/share/ann must be a directory on the same mount`), shares);
    assert(shares.includes(`${basePath}/share/bob does not exist: make the directory`), shares);
  },
);

testOnEachFilesystem(
  "verify: what stands where the daemon keeps its own is told as run tells it",
  async (kind) => {
    await using filesystem = await LoopFilesystem.create(kind, { sizeMiB: 300 });
    const basePath = await filesystem.directory();
    for (const name of ["ann", "bob"]) {
      await Deno.mkdir(`${basePath}/share/${name}`, { recursive: true });
    }
    const docs = { ...GOOD, basePath };
    for (const name of [".virtiofs-gate", ".virtiofs-gate/recovery"]) {
      const place = `${basePath}/${name}`;
      await Deno.remove(`${basePath}/.virtiofs-gate`, { recursive: true }).catch(() => {});
      await Deno.mkdir(place.slice(0, place.lastIndexOf("/")), { recursive: true });
      await Deno.symlink("/tmp", place);
      const { code, text } = await verify({ docs });
      assertEquals(code, 1, text);
      assert(text.includes(`docs.basePath: ${place} must be a directory`), text);
      await using gate = Gate.launch({ configuration: { docs } });
      assertEquals((await gate.exit()).code, 1);
      assert(gate.log.includes(`docs is skipped: ${place} must be a directory`), gate.log);
    }
  },
);

testOnEachFilesystem(
  "verify: a directory that is mounted twice is one, whatever it is called",
  async (kind) => {
    await using filesystem = await LoopFilesystem.create(kind, { sizeMiB: 300 });
    const basePath = await filesystem.directory();
    for (const name of ["ann", "bob"]) {
      await Deno.mkdir(`${basePath}/share/${name}`, { recursive: true });
    }
    const again = await filesystem.directory("again");
    await must("mount", ["--bind", basePath, again]);
    try {
      const { code, text } = await verify({
        docs: { ...GOOD, basePath },
        more: { ...GOOD, basePath: again },
      });
      assertEquals(code, 1, text);
      assertMatch(text, /more\.basePath: .*again\S* is the directory of the channel docs, mounted/);
    } finally {
      await must("umount", [again]);
    }
  },
);

testOnEachFilesystem(
  "verify: a file system mounted read-only is told from one of the wrong kind",
  async (kind) => {
    await using filesystem = await LoopFilesystem.create(kind, { sizeMiB: 300 });
    const basePath = await filesystem.directory();
    for (const name of ["ann", "bob"]) {
      await Deno.mkdir(`${basePath}/share/${name}`, { recursive: true });
    }
    await filesystem.remount("ro");
    const { code, text } = await verify({ docs: { ...GOOD, basePath } });
    assertEquals(code, 1, text);
    assertMatch(text, /docs.*EROFS.*mount it writable/);
    assertNotMatch(text, /use btrfs/);
  },
);

Deno.test("verify: a filesystem without reflink is a fault", async () => {
  const folder = scratchDirectory("no-reflink", "memory");
  const { stdout } = await run("stat", ["-f", "-c", "%T", folder]);
  const type = new TextDecoder().decode(stdout).trim();
  if (type === "btrfs" || type === "xfs") return; // this machine's own disk can
  for (const name of ["share/ann", "share/bob", "staging", "export", "quarantine"]) {
    await Deno.mkdir(`${folder}/${name}`, { recursive: true });
  }
  const { code, text } = await verify({ docs: { ...GOOD, basePath: folder } });
  assertEquals(code, 1, text);
  assertMatch(text, /docs/);
  assertMatch(text, /reflink|FICLONE/i);
});

Deno.test("the command line: help is exit 0, an unknown option is named, exit 2", async () => {
  const help = await gate("--help");
  assertEquals(help.code, 0);
  for (const word of [/run/, /verify/]) assertMatch(help.text, word);
  const wrong = await gate("run", "--confgi", "x");
  assertEquals(wrong.code, 2);
  assertMatch(wrong.text, /confgi/);
});
