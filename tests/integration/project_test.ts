/** Shares with a project of their own, as quotas for each guest need them on XFS: files are brought there, and go. */

// @ts-types="../support/assert.d.ts"
import { assertEquals } from "@std/assert";
import { must } from "../support/command.ts";
import { testOnEachFilesystem } from "../support/fixture.ts";
import { waitFor } from "../support/wait.ts";
import { World } from "../support/world.ts";

testOnEachFilesystem(
  "I3: what is brought to a share of a project of its own belongs to that project",
  async (kind) => {
    if (kind !== "xfs") return;
    await using world = await World.prepare(kind, { channels: { docs: {} } });
    const { only } = world;
    const [ann, bob, cid] = [only.share("ann"), only.share("bob"), only.share("cid")];
    await must("chattr", ["-p", "42", "+P", bob.path]);
    await must("chattr", ["-p", "43", "+P", cid.path]);
    await world.clamd.start();
    await world.startGate();
    await ann.write("file", "first");
    await ann.write("tree/below/file", "first");
    await bob.write("of-bob", "first");
    await only.settled();
    await cid.write("file", "second");
    await ann.write("tree/below/file", "second");
    await cid.write("of-bob", "second");
    await waitFor("all is replaced", async () => {
      const paths = ["file", "tree/below/file", "of-bob"];
      const texts = await Promise.all(
        [ann, bob, cid, only.export].flatMap((place) => paths.map((path) => place.readText(path))),
      );
      return texts.every((text) => text === "second");
    });
    const projects = await bob.shell("lsattr -p -d . file tree tree/below tree/below/file of-bob");
    assertEquals(projects.trim().split("\n").map((line) => line.trim().split(/\s+/)[0]), [
      ...Array(6).fill("42"),
    ]);
    await bob.shell("rm -r tree of-bob; mv file renamed");
    await waitFor("it goes", () => !cid.has("tree") && !ann.has("of-bob") && cid.has("renamed"));
    await world.verify();
  },
);
