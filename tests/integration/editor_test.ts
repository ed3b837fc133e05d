/** How editors save: by temporary names, backups and renames. The document must never be lost (I3). */

// @ts-types="../support/assert.d.ts"
import { assertEquals } from "@std/assert";
import { DEBOUNCE_MS } from "../support/channel.ts";
import { onEachFilesystem } from "../support/fixture.ts";
import { sleep, waitFor } from "../support/wait.ts";
import { World } from "../support/world.ts";

interface Habit {
  readonly name: string;
  /** Saves `$1` as the new content of `doc`. */
  readonly save: string;
  /** Names that stay beside the document. */
  readonly leaves?: readonly string[];
}

const HABITS: readonly Habit[] = [
  { name: "writes in place (nano)", save: 'printf %s "$1" > doc' },
  {
    name: "writes a temporary file and renames it over (GLib, KDE)",
    save: 'printf %s "$1" > .goutputstream-X; mv -f .goutputstream-X doc',
  },
  {
    name: "renames to a backup, writes anew, deletes the backup (vim)",
    save: 'mv doc doc~; printf %s "$1" > doc; rm doc~',
  },
  {
    name: "renames to a backup that stays (Emacs)",
    save: 'mv -f doc doc~; printf %s "$1" > doc',
    leaves: ["doc~"],
  },
  { name: "deletes and writes at once", save: 'rm doc; printf %s "$1" > doc' },
  {
    name: "renames the document away and a new one in, then deletes the old (Office)",
    save: 'printf %s "$1" > new.tmp; mv doc old.tmp; mv new.tmp doc; rm old.tmp',
  },
  {
    name: "with a lock file and a swap file beside it (LibreOffice, vim)",
    save: "echo me > .~lock.doc#; echo swap > .doc.swp; " +
      'printf %s "$1" > lu1.tmp; mv -f lu1.tmp doc; rm .doc.swp .~lock.doc#',
  },
  {
    name: "links a backup, writes a temporary file and renames it over (joe, mc)",
    save: 'rm -f doc.bak; ln doc doc.bak; printf %s "$1" > t; mv -f t doc; rm doc.bak',
  },
  {
    name: "truncates, waits, and writes in pieces",
    save: ': > doc; sleep 0.03; printf %.4s "$1" > doc; sleep 0.03; printf %s "$1" > doc',
  },
];

onEachFilesystem(
  "editors",
  (kind) => World.start(kind, { channels: { docs: {} } }),
  (test) => {
    for (const [index, { name, save, leaves = [] }] of HABITS.entries()) {
      test(`I3: an editor that ${name}`, async ({ only }) => {
        const folder = `habit-${index}`;
        await only.share("ann").write(`${folder}/doc`, "version 0");
        await only.settled(folder);
        // Slowly, quickly, and from each side in turn.
        const authors = ["ann", "bob", "cid", "ann", "ann"];
        for (const [round, author] of authors.entries()) {
          const text = `version ${round + 1} by ${author}`;
          await only.share(author).shell(`set -- '${text}'; cd ${folder}; ${save}`);
          if (round % 3 === 0) await sleep(DEBOUNCE_MS / 2); // the next one catches it half-way
          await waitFor(
            `export has ${text}`,
            async () => await only.export.readText(`${folder}/doc`) === text,
          );
          await only.settled(folder);
        }
        const last = await only.export.readText(`${folder}/doc`);
        assertEquals(last, `version ${authors.length} by ann`);
        assertEquals(only.export.list(folder), ["doc", ...leaves]);
      });

      test(`I3: twenty quick saves by an editor that ${name}`, async ({ only }) => {
        const folder = `quick-${index}`;
        await only.share("bob").write(`${folder}/doc`, "version 0");
        await only.settled(folder);
        await only.share("bob").shell(`
          cd ${folder}
          for i in $(seq 20); do set -- "version $i"; ${save}; done
        `);
        await waitFor(
          "export has the last version",
          async () => await only.export.readText(`${folder}/doc`) === "version 20",
        );
        await only.settled(folder);
        assertEquals(only.export.list(folder), ["doc", ...leaves]);
      });
    }
  },
);
