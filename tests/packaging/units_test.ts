/** The unit files for plain systemd are what nix/units/ says, and as closed as promised. */

// @ts-types="../support/assert.d.ts"
import {
  assert,
  assertEquals,
  assertFalse,
  assertGreaterOrEqual,
  assertLessOrEqual,
  assertMatch,
} from "@std/assert";
import { PROGRAMS } from "../../nix/programs.ts";
import { renderUnits, UNIT_FOLDER } from "../../nix/units.ts";
import { VPROXY } from "../../src/vproxy/options.ts";
import { must, run } from "../support/command.ts";
import { missingProgram } from "../support/prerequisites.ts";
import { scratchDirectory } from "../support/scratch.ts";

function unitFiles(folder = UNIT_FOLDER, below = ""): string[] {
  return [...Deno.readDirSync(`${folder}${below}`)].flatMap(({ name, isDirectory }) =>
    isDirectory ? unitFiles(folder, `${below}${name}/`) : [`${below}${name}`]
  ).sort();
}

function read(path: string): string {
  return Deno.readTextFileSync(`${UNIT_FOLDER}${path}`);
}

/** A test that is skipped, with the reason in its name, where `program` cannot be had. */
function testWith(program: string, name: string, fn: () => Promise<void>): void {
  const reason = missingProgram(program);
  Deno.test({
    name: reason === undefined ? name : `${name} [${reason}]`,
    ignore: reason !== undefined,
    fn,
  });
}

testWith("nix-instantiate", "nix/systemd/ is what `deno task units` writes", async () => {
  const rendered = await renderUnits();
  const units = unitFiles().filter((path) => !path.startsWith("sysusers.d/"));
  assertEquals(units, [...rendered.keys()].sort());
  for (const [path, content] of rendered) assertEquals(read(path), content, path);
});

/** What systemd-analyze(1) makes of a unit, with these of its drop-ins: 0.0 is closed, 10.0 open. */
async function exposure(unit: string, dropIns: readonly string[] = []): Promise<number> {
  const root = scratchDirectory("units");
  const folder = `${root}/etc/systemd/system`;
  await Deno.mkdir(`${folder}/${unit}.d`, { recursive: true });
  await Deno.writeTextFile(`${folder}/${unit}`, read(unit));
  for (const name of dropIns) {
    await Deno.writeTextFile(`${folder}/${unit}.d/${name}`, read(`${unit}.d/${name}`));
  }
  const output = await must("systemd-analyze", [
    ...["security", "--offline=true", "--no-pager", `--root=${root}`, unit],
  ]);
  const text = new TextDecoder().decode(output);
  const overall = /Overall exposure level for \S+: ([\d.]+)/.exec(text)?.[1];
  assert(overall !== undefined, text);
  return Number(overall);
}

/** The goals; what the units reach today is at most this. */
const GOALS: readonly (readonly [unit: string, dropIns: readonly string[], goal: number])[] = [
  ["virtiofs-gate.service", [], 1.3],
  ["virtiofs-gate.service", ["unprivileged.conf"], 1.1],
  // AF_VSOCK costs 0.3.
  ["virtiofs-gate.service", ["unprivileged.conf", "vsock.conf"], 1.2],
  ["clamd-vproxy.service", [], 0.8],
  ["clamd-vclient.service", [], 0.8],
  ["clamd-vclient@.service", [], 0.8],
  ["virtiofs-notify@.service", [], 0.8],
];

for (const [unit, dropIns, goal] of GOALS) {
  const name = [unit, ...dropIns].join(" with ");
  testWith("systemd-analyze", `I8: ${name} is exposed by ${goal} at most`, async () => {
    assertLessOrEqual(await exposure(unit, dropIns), goal);
  });
}

testWith("systemd-analyze", "systemd understands every line of the units", async () => {
  for (const path of unitFiles().filter((path) => path.endsWith(".service"))) {
    const instance = path.replace("@.", "@root.").replace("user/", "");
    const file = `${scratchDirectory("verify")}/${instance}`;
    // The binaries are not installed here.
    const text = read(path).replaceAll(/^(Exec\w+)=\/usr\/local\/\S+/gm, "$1=/usr/bin/true");
    await Deno.writeTextFile(file, text);
    const manager = path.startsWith("user/") ? ["--user"] : [];
    const { stderr } = await run("systemd-analyze", ["verify", "--man=no", ...manager, file], {
      env: { XDG_RUNTIME_DIR: scratchDirectory("runtime") },
    });
    const complaints = stderr.split("\n").filter((line) => line.includes(instance));
    assertEquals(complaints, [], path);
  }
});

Deno.test("memory is never writable and executable exactly where a program has no compiler", () => {
  for (const { binary, jitless } of PROGRAMS) {
    const paths = unitFiles().filter((path) => new RegExp(`${binary}@?\\.service$`).test(path));
    assert(paths.length > 0, binary);
    for (const path of paths) {
      assertMatch(
        read(path),
        new RegExp(`^MemoryDenyWriteExecute=${jitless ? "yes" : "no"}$`, "m"),
      );
      assertMatch(read(path), new RegExp(`^ExecStart=/usr/local/bin/${binary} `, "m"));
    }
  }
});

Deno.test("a service that serves says so, is watched, and is started again after a crash", () => {
  for (const path of unitFiles().filter((path) => path.endsWith(".service"))) {
    for (const line of ["Type=notify", "WatchdogSec=30", "Restart=on-failure"]) {
      assert(read(path).split("\n").includes(line), `${path}: ${line}`);
    }
  }
});

Deno.test("I6: clamd-vproxy may open what the largest --max-connections takes", () => {
  const [, limit] = /^LimitNOFILE=(\d+)$/m.exec(read("clamd-vproxy.service")) ?? [];
  const { maxConnections } = VPROXY.options;
  // A guest and clamd; the last words to 256 guests; what the program itself has open.
  assertGreaterOrEqual(Number(limit), 2 * maxConnections.max + 256 + 100);
});

Deno.test("docs/debian.md names files that are there", async () => {
  const text = await Deno.readTextFile(new URL("../../docs/debian.md", import.meta.url));
  const named = [...text.matchAll(/nix\/systemd\/([\w@.\/-]*[\w])/g)].map(([, path = ""]) => path);
  assert(named.length > 5);
  for (const path of named) await Deno.stat(`${UNIT_FOLDER}${path}`);
});

Deno.test("docs/debian.md makes the directories of which Debian has none before it puts files there", async () => {
  const text = await Deno.readTextFile(new URL("../../docs/debian.md", import.meta.url));
  const targets = [...text.matchAll(/\bcp nix\/systemd\/[^\n`&]*?(\/\S*)$/gm)].map(([, to]) => to);
  // Of the packages systemd and init-system-helpers.
  const there = new Set(["/etc/systemd/system/", "/etc/systemd/user/"]);
  assertEquals(new Set(targets), there);
  assertFalse(/\bcp nix\/systemd\/.*\.d\//.test(text));
});

Deno.test("docs/debian.md starts each unit that it installs, and removes it again", async () => {
  const text = await Deno.readTextFile(new URL("../../docs/debian.md", import.meta.url));
  const lines = (start: RegExp) => text.split("\n").filter((line) => start.test(line)).join("\n");
  const installed = [...lines(/^cp nix\/systemd\//).matchAll(/([\w-]+@?)\.service\b/g)]
    .map(([, name = ""]) => name.replace("@", "@alice"));
  assertEquals(installed.length, 5);
  for (const command of ["enable", "disable"]) {
    const named = lines(new RegExp(`^systemctl .*\\b${command} --now `)).split(/\s/);
    for (const unit of installed) assert(named.includes(unit), `${command} ${unit}`);
  }
});
