/**
 * What a guest (or a host's administrator) can put into a share that is no ordinary file of an ordinary name: special
 * files, mount points, names and times and depths at the edge of what the kernel takes. Live, and at the next start.
 */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals } from "@std/assert";
import { must } from "../support/command.ts";
import { EICAR } from "../support/eicar.ts";
import { onEachFilesystem } from "../support/fixture.ts";
import type { Share } from "../support/share.ts";
import { waitFor } from "../support/wait.ts";
import { World } from "../support/world.ts";
import { Canary } from "./support/canary.ts";
import { MemoryFilesystem } from "./support/memory_filesystem.ts";

/** A terminal that shows this raw would be cleared, and a log would have a line that nobody wrote. */
const INJECTION = "evil\n<0>all is well\r\x1b[2J\u202efdp.exe";

const SPECIAL_FILES = `
  mkfifo fifo other-fifo; ln fifo fifo-linked; mv other-fifo fifo-moved
  mknod device c 1 5; mknod other-device b 7 0; ln device device-linked; mv other-device device-moved
`;
const SPECIAL_NAMES = [
  "fifo",
  "fifo-linked",
  "fifo-moved",
  "device",
  "device-linked",
  "device-moved",
  "socket",
];

onEachFilesystem(
  "strange entries",
  (kind) =>
    World.start(kind, { channels: { docs: { scanning: { infectedAction: "quarantine" } } } }),
  (test) => {
    test("I2, I7: FIFOs, sockets and devices go nowhere and stop nothing, live and at startup", async (world) => {
      const { only } = world;
      const ann = only.share("ann");
      await ann.shell(`mkdir special; cd special; ${SPECIAL_FILES}`);
      using _listener = Deno.listen({ transport: "unix", path: ann.at("special/socket") });
      const nobodyElseHasThem = () => {
        for (const name of SPECIAL_NAMES) {
          assert(ann.has(`special/${name}`), `${name} is where it was`);
          for (const other of ["bob", "cid", "export"]) {
            assert(!only.share(other).has(`special/${name}`), `${name} is not with ${other}`);
          }
        }
      };
      await only.quiet();
      nobodyElseHasThem();
      await world.startGate();
      await only.quiet();
      nobodyElseHasThem();
      await ann.shell("rm -r special");
      await only.settled();
    });

    test("I2, I3: a file takes the place of what is special in the others' shares", async ({ only, filesystem }) => {
      const outside = `${filesystem.path}/outside-linked`;
      await Deno.writeTextFile(outside, "outside");
      await only.share("bob").shell(
        `mkdir taken; cd taken; ${SPECIAL_FILES} ln -s '${outside}' link`,
      );
      await only.quiet();
      const names = [...SPECIAL_NAMES.filter((name) => name !== "socket"), "link"];
      for (const name of names) {
        await only.share("ann").write(`taken/${name}`, `content of ${name}`);
      }
      await waitFor("all have arrived", async () => {
        const texts = await Promise.all(names.map((name) => isFile(only.share("bob"), name)));
        return texts.every((is) => is);
      });
      await only.settled();
      assertEquals(await Deno.readTextFile(outside), "outside");
      async function isFile(share: Share, name: string): Promise<boolean> {
        const path = share.at(`taken/${name}`);
        const { isFile } = await Deno.lstat(path).catch(() => ({ isFile: false }));
        return isFile && await Deno.readTextFile(path) === `content of ${name}`;
      }
    });

    test("I2: what is mounted in a share is neither read nor written, before the start and during it", async (world) => {
      const { only, filesystem } = world;
      const ann = only.share("ann");
      using canary = new Canary(`${filesystem.path}/outside-mounted`);
      for (const when of ["during", "before"]) {
        await ann.write(`mounts-${when}/kept`, "kept");
        await waitFor("it travels", () => only.share("bob").has(`mounts-${when}/kept`));
        await Deno.mkdir(ann.at(`mounts-${when}/bound`));
        await Deno.mkdir(ann.at(`mounts-${when}/memory`));
        await only.quiet();
        if (when === "before") await world.gate.term();
        await must("mount", ["--bind", canary.path, ann.at(`mounts-${when}/bound`)]);
        try {
          await using memory = await MemoryFilesystem.mount(ann.at(`mounts-${when}/memory`));
          using inside = new Canary(`${memory.path}/inside`);
          if (when === "before") await world.startGate();
          await only.share("bob").write(`mounts-${when}/bound/file`, "by bob");
          await only.share("bob").write(`mounts-${when}/memory/inside/file`, "by bob");
          await ann.write(`mounts-${when}/beside`, "beside");
          await only.quiet();
          await waitFor("the rest travels", () => only.export.has(`mounts-${when}/beside`));
          assertEquals(inside.disturbances(), []);
          for (const other of ["bob", "export"]) {
            assert(!only.share(other).has(`mounts-${when}/bound/top`));
            assert(only.share(other).has(`mounts-${when}/kept`));
          }
        } finally {
          await must("umount", [ann.at(`mounts-${when}/bound`)]);
        }
        assertEquals(canary.disturbances(), []);
        await only.quiet();
      }
      await world.startGate();
      await only.settled();
    });

    test("I3: files under a directory that something is mounted over stay with the others", async (world) => {
      const { only } = world;
      const ann = only.share("ann");
      await ann.write("covered/deep/file", "still wanted");
      await waitFor("it is everywhere", () => only.share("cid").has("covered/deep/file"));
      await only.settled();
      {
        await using _ = await MemoryFilesystem.mount(ann.at("covered"));
        await world.startGate();
        await only.quiet();
        for (const other of ["bob", "cid", "export"]) {
          assertEquals(
            await only.share(other).readText("covered/deep/file"),
            "still wanted",
            other,
          );
        }
      }
      await world.startGate();
      await only.settled();
      assertEquals(await ann.readText("covered/deep/file"), "still wanted");
    });

    test("I9: a name cannot write lines of its own into log, messages or quarantine", async (world) => {
      const { only } = world;
      await only.share("ann").write(`names/${INJECTION}`, EICAR);
      await waitFor("it is removed", () => !only.share("ann").has(`names/${INJECTION}`));
      const told = await waitFor(
        "the user is told",
        () => world.user.lines.find((line) => line.includes("names/evil")),
      );
      assert(told.endsWith("evil\\x0a<0>all is well\\x0d\\x1b[2J\\u{202e}fdp.exe"), told);
      assertEquals(world.user.lines.filter((line) => /^<0>|all is well$/.test(line)), []);
      const line = await world.gate.logged(/malware .*names\/evil/);
      assert(line.includes("evil\\x0a<0>all is well\\x0d\\x1b[2J\\u{202e}fdp.exe"), line);
      // deno-lint-ignore no-control-regex -- what must not be there
      assert(!/[\x00-\x08\x0b-\x1f\x7f\u202e]/.test(world.gate.recentLog));
      for (const { name } of Deno.readDirSync(only.quarantine)) {
        // deno-lint-ignore no-control-regex -- what must not be there
        assert(!/[\x00-\x1f\x7f\u202e]/.test(name), JSON.stringify(name));
      }
    });

    test("I3: names of 255 bytes, and of bytes that are no text, are names like others, malware or not", async (world) => {
      const { only } = world;
      const long = "n".repeat(255);
      await only.share("ann").write(`edge/${long}`, "long");
      await only.share("ann").shell(`printf raw > "edge/$(printf '\\377\\376\\001')"`);
      await only.share("bob").write(`edge/${"m".repeat(255)}`, EICAR);
      await only.share("bob").shell(
        `cp "edge/$(printf 'm%.0s' $(seq 255))" "edge/$(printf '\\200')" || true`,
      );
      await waitFor("the long one arrives", () => only.export.has(`edge/${long}`));
      await only.quiet();
      assertEquals(await only.infectedElsewhere(), []);
      await only.settled();
    });

    test("I3: a path deeper than PATH_MAX travels, is changed, and goes", async ({ only }) => {
      const name = "d".repeat(250);
      const levels = 20;
      const down = `for i in $(seq ${levels}); do cd -P ${name}; done`;
      const make = `for i in $(seq ${levels}); do mkdir ${name}; cd -P ${name}; done`;
      await only.share("ann").shell(`mkdir deep; cd deep; ${make}; echo first > file`);
      const bottom = async (share: Share) => {
        try {
          return await share.shell(`cd deep; ${down}; cat file`);
        } catch {
          return undefined; // not there yet
        }
      };
      await waitFor("it arrives", async () => await bottom(only.share("bob")) === "first\n");
      await only.share("bob").shell(`cd deep; ${down}; echo second > file`);
      await waitFor(
        "the answer arrives",
        async () => await bottom(only.share("ann")) === "second\n",
      );
      await only.share("cid").shell("rm -r deep");
      await waitFor(
        "it goes",
        () => ["ann", "bob", "export"].every((one) => !only.share(one).has("deep")),
      );
    });

    test("I3, I4: times of the next centuries and of before 1970 travel, and do not win for ever", async ({ only }) => {
      const dates = { future: 7_258_118_400n, past: -86_400n };
      for (const [name, seconds] of Object.entries(dates)) {
        await only.share("ann").write(`times/${name}`, "dated", {
          mtimeNs: seconds * 1_000_000_000n + 5n,
        });
      }
      await waitFor(
        "both arrive",
        () => Object.keys(dates).every((name) => only.export.has(`times/${name}`)),
      );
      await only.settled();
      for (const name of Object.keys(dates)) {
        await only.share("bob").write(`times/${name}`, "changed");
      }
      await waitFor("the later writing counts", async () => {
        const texts = Object.keys(dates).map((name) => only.share("ann").readText(`times/${name}`));
        return (await Promise.all(texts)).every((text) => text === "changed");
      });
      await only.settled();
    });

    test("I2: a file that has another name outside is replaced or removed here, and stays there", async ({ only, filesystem }) => {
      const outside = `${filesystem.path}/outside-file`;
      await Deno.writeTextFile(outside, "outside");
      await Deno.chmod(outside, 0o600);
      await Deno.link(outside, only.share("ann").at("linked"));
      await Deno.link(outside, only.share("cid").at("linked-too"));
      await waitFor(
        "it travels",
        () => only.share("bob").has("linked") && only.share("bob").has("linked-too"),
      );
      await only.settled();
      await only.share("bob").write("linked", "bob's version", { mode: 0o666, uid: 1000 });
      await waitFor(
        "it is replaced",
        async () => await only.share("ann").readText("linked") === "bob's version",
      );
      await Deno.remove(only.share("bob").at("linked-too"));
      await waitFor("it is removed", () => !only.share("cid").has("linked-too"));
      const { mode, uid } = await Deno.stat(outside);
      assertEquals([await Deno.readTextFile(outside), (mode ?? 0) & 0o7777, uid], [
        "outside",
        0o600,
        0,
      ]);
      await only.settled();
    });
  },
);
