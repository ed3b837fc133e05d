/** Something is mounted over a part of a share, or of the export, while the gate runs: what changed meanwhile comes after it. */

// @ts-types="../support/assert.d.ts"
import { assertEquals } from "@std/assert";
import { MemoryFilesystem } from "../attack/support/memory_filesystem.ts";
import { onEachFilesystem } from "../support/fixture.ts";
import { sleep, waitFor } from "../support/wait.ts";
import { World } from "../support/world.ts";

const CASES = [
  { place: "bob", restart: "" },
  { place: "export", restart: "" },
  { place: "bob", restart: "during" },
  { place: "bob", restart: "after" },
];

onEachFilesystem(
  "covered places",
  (kind) => World.start(kind, { channels: { docs: {} } }),
  (test) => {
    for (const { place, restart } of CASES) {
      test(
        `I3: over a directory of ${place === "bob" ? "a share" : "the export"}${
          restart === "" ? "" : `, and a restart ${restart} it`
        }`,
        async (world) => {
          const { only } = world;
          const [ann, cid] = [only.share("ann"), only.share("cid")];
          const directory = `d-${place}-${restart}`;
          await ann.shell(
            `mkdir -p ${directory}/below; cd ${directory}; for i in 1 2 3 4 below/5; do echo $i > $i; done`,
          );
          await only.settled(directory);
          {
            await using _ = await MemoryFilesystem.mount(only.share(place).at(directory));
            await ann.shell(
              "echo changed > 1; rm 2 below/5; mv 3 renamed; echo new > new; mkdir new-directory",
              directory,
            );
            await waitFor(
              "cid has all",
              () =>
                cid.list(directory).join() === "1,4,below,new,new-directory,renamed" &&
                !cid.has(`${directory}/below/5`),
            );
            await sleep(500);
            if (restart === "during") await world.startGate();
            else if (restart === "after") await world.gate.term();
          }
          if (restart === "after") await world.startGate();
          await only.settled(directory);
          assertEquals(ann.list(directory), ["1", "4", "below", "new", "new-directory", "renamed"]);
          assertEquals(ann.list(`${directory}/below`), []);
          await only.share("bob").write(`${directory}/below/later`, "it is watched again");
          await waitFor("that travels", () => ann.has(`${directory}/below/later`));
        },
      );
    }
  },
);
