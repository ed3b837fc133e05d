/** The tests' own tools: what they report must be so, and nothing of them may stay behind. */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals, assertRejects } from "@std/assert";
import { fromText } from "../../ffi/byte_string.ts";
import { Clamd, SIGNATURE } from "../support/clamd.ts";
import { must } from "../support/command.ts";
import { clean, EICAR, infected } from "../support/eicar.ts";
import { FakeClamd } from "../support/fake_clamd.ts";
import { testOnEachFilesystem } from "../support/fixture.ts";
import { REPOSITORY } from "../support/gate.ts";
import { LoopFilesystem } from "../support/loop_filesystem.ts";
import {
  abandonedScratch,
  leftovers,
  scratchDirectory,
  scratchPathsOf,
  sweep,
} from "../support/scratch.ts";
import { Share } from "../support/share.ts";
import {
  contentDifferences,
  filesThatHold,
  hashTrees,
  readTree,
  treeDifferences,
} from "../support/tree.ts";

testOnEachFilesystem(
  "a filesystem is mounted, can reflink, and is gone afterwards",
  async (kind) => {
    const scratch = scratchPathsOf(Deno.pid);
    const before = leftovers(scratch);
    let path: string;
    {
      await using filesystem = await LoopFilesystem.create(kind, { sizeMiB: 300 });
      path = filesystem.path;
      await Deno.writeFile(`${path}/a`, clean(1, 100_000));
      await must("cp", ["--reflink=always", `${path}/a`, `${path}/b`]);
      assertEquals(leftovers(scratchPathsOf(Deno.pid)).length, before.length + 2);
    }
    assertEquals(leftovers(scratchPathsOf(Deno.pid)), before);
    await assertRejects(() => Deno.stat(path), Deno.errors.NotFound);
  },
);

testOnEachFilesystem("a clamd finds what it must, dies and comes back", async (kind) => {
  await using filesystem = await LoopFilesystem.create(kind, { sizeMiB: 300 });
  await using clamd = await Clamd.start();
  await Deno.writeFile(`${filesystem.path}/bad`, infected(5000));
  await Deno.writeFile(`${filesystem.path}/good`, clean(2, 5000));
  const scan = async (name: string) => {
    using connection = await Deno.connect({ transport: "unix", path: clamd.socket });
    await connection.write(new TextEncoder().encode(`zSCAN ${filesystem.path}/${name}\0`));
    return await new Response(connection.readable).text();
  };
  assertEquals(await scan("bad"), `${filesystem.path}/bad: ${SIGNATURE} FOUND\0`);
  assertEquals(await scan("good"), `${filesystem.path}/good: OK\0`);
  assertEquals(clamd.scans, 2);
  await clamd.kill();
  assert(!await clamd.ping());
  await clamd.start();
  assert(await clamd.ping());
});

Deno.test("two trees are compared by type, mode, owner, time in ns, size and content", async () => {
  const folder = scratchDirectory("trees");
  await Deno.mkdir(`${folder}/one`);
  await Deno.mkdir(`${folder}/two`);
  const [one, two] = [new Share("one", `${folder}/one`), new Share("two", `${folder}/two`)];
  const differences = async () =>
    treeDifferences(await readTree(one.path), await readTree(two.path), "one", "two");
  for (const share of [one, two]) {
    await share.write("d/file", "same size", { mode: 0o640, mtimeNs: 1_600_000_000_000_000_001n });
    await share.shell(
      "printf x > \"$(printf 'n\\351\\nl')\"; touch -d @5 \"$(printf 'n\\351\\nl')\"",
    );
  }
  assertEquals(await differences(), []);
  assertEquals(await contentDifferences(one.path, two.path), []);
  const [hashes] = await hashTrees([one.path]);
  assertEquals(hashes?.size, 2);

  two.setAttributes("d/file", { mtimeNs: 1_600_000_000_000_000_002n });
  assertEquals(await differences(), [
    "d/file: mtime 1600000000.0000000010 in one, 1600000000.0000000020 in two",
  ]);
  await two.write("d/file", "SAME SIZE", { mode: 0o600, mtimeNs: 1_600_000_000_000_000_001n });
  assertEquals(await differences(), ["d/file: mode 640 in one, 600 in two"]);
  assertEquals((await contentDifferences(one.path, two.path)).length, 1);

  await two.shell("rm -r d; mkfifo d; touch more");
  assertEquals(await differences(), [
    "d: type d in one, p in two",
    "d: mode 755 in one, 644 in two",
    "d: mtime  in one, " + ((await readTree(two.path)).get(fromText("d"))?.mtime ?? "") + " in two",
    "d/file: in one, not in two",
    "more: in two, not in one",
  ]);
});

Deno.test("infected bytes are found wherever they lie in a file", async () => {
  const folder = scratchDirectory("infected");
  await Deno.mkdir(`${folder}/deep`);
  await Deno.writeFile(`${folder}/deep/in-the-middle`, new Uint8Array([0, 10, ...EICAR, 10, 0]));
  await Deno.writeFile(`${folder}/harmless`, clean(3, 10_000));
  assertEquals(await filesThatHold(EICAR, [folder]), [`${folder}/deep/in-the-middle`]);
});

Deno.test("what a killed test left behind is found and removed by the next", async () => {
  // A process that makes a scratch directory, starts a program, and is killed.
  const orphan = new Deno.Command(Deno.execPath(), {
    args: [
      "eval",
      "--no-lock",
      `
      const { scratchPath } = await import("${REPOSITORY}tests/support/scratch.ts");
      const { run } = await import("${REPOSITORY}tests/support/command.ts");
      console.log(scratchPath());
      await run("sleep", ["1000"]);
    `,
    ],
    cwd: "/",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const reader = orphan.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const path = (await reader.read()).value?.trim() ?? "";
  await reader.cancel();
  assert(!abandonedScratch().includes(path), "a living process's directory is not touched");
  while (leftovers([path]).length === 0) await new Promise((resolve) => setTimeout(resolve, 10));
  orphan.kill("SIGKILL");
  await orphan.status;
  assert(abandonedScratch().includes(path));
  assertEquals(leftovers([path]).length, 1);
  sweep([path]);
  assertEquals(leftovers([path]), []);
  assert(!abandonedScratch().includes(path));
});

Deno.test("a scripted clamd speaks the protocol: sessions, pieces, broken connections", async () => {
  await using clamd = FakeClamd.start(({ name, id }) =>
    name === "PING" ? (id === undefined ? "PONG\0" : [`${id}: P`, "ONG\0"]) : "close"
  );
  const talk = async (text: string) => {
    using connection = await Deno.connect({ transport: "unix", path: clamd.socket });
    await connection.write(new TextEncoder().encode(text));
    await connection.closeWrite();
    return await new Response(connection.readable).text();
  };
  assertEquals(await talk("zPING\0"), "PONG\0");
  assertEquals(await talk("zIDSESSION\0zPING\0nPING\nzEND\0"), "1: PONG\x002: PONG\0");
  assertEquals(await talk("zFILDES\0\0"), "");
  assertEquals(clamd.count("FILDES"), 1);
  assertEquals(clamd.count("PING"), 3);
});
