/**
 * Files wander through directories that were made, renamed and exchanged a moment before, and become malware where they end:
 * whatever was told of that, and in whatever order, their former names' deletion takes nobody's last clean copy away (I3).
 */

// @ts-types="../support/assert.d.ts"
import { assertEquals } from "@std/assert";
import { Random } from "../soak/random.ts";
import { EICAR } from "../support/eicar.ts";
import { testOnEachFilesystem } from "../support/fixture.ts";
import type { FilesystemKind } from "../support/loop_filesystem.ts";
import type { Share } from "../support/share.ts";
import { NIGHTLY } from "../support/size.ts";
import { sleep, waitFor } from "../support/wait.ts";
import { World } from "../support/world.ts";

const SEEDS = NIGHTLY ? [1, 22, Date.now() % 1_000_000] : [];
const ROUNDS = 10;
const TREES = 25;
const MOST_STEPS = 8;
const LONGEST_PAUSE_MS = 30;

/** One tree of a share, and where its letter is. */
class Wanderer {
  readonly content: string;
  readonly history: string[] = [];
  #directories: string[];
  #letter: string;
  #count = 0;
  /** A name that was given up last. */
  #gone: string | undefined;
  #hasMade = false;

  constructor(readonly share: Share, readonly top: string, files: number) {
    this.content = `the letter of ${top} that all have;`;
    const inner = `${top}/d/e`;
    this.#directories = [top, `${top}/d`, inner, `${top}/other`];
    this.#letter = `${inner}/letter`;
    for (const directory of this.#directories) Deno.mkdirSync(share.at(directory));
    Deno.writeTextFileSync(share.at(this.#letter), this.content);
    for (let file = 0; file < files; file++) {
      Deno.writeTextFileSync(share.at(`${inner}/${file}`), "");
    }
  }

  step(random: Random): void {
    switch (random.below(6)) {
      case 0:
        return this.#make(random);
      case 1:
      case 2:
        return this.#move(this.#letter, this.#nameIn(random.choose(this.#directories)));
      case 3:
        return this.#exchange(random);
      default:
        return this.#moveDirectory(random);
    }
  }

  infect(random: Random): void {
    const path = this.share.at(this.#letter);
    // What came out of a directory that nobody watched yet is known by its inode only.
    if (this.#hasMade || random.chance(0.5)) {
      Deno.writeFileSync(path, EICAR);
      this.#note(`infect ${this.#letter}`);
    } else {
      const saved = this.share.at(this.#nameIn(this.top));
      Deno.writeFileSync(saved, EICAR);
      Deno.renameSync(saved, path);
      this.#note(`save malware as ${this.#letter}`);
    }
  }

  #note(what: string): void {
    this.history.push(what);
  }

  #nameIn(directory: string): string {
    return `${directory}/n${this.#count++}`;
  }

  #make(random: Random): void {
    // The name of one that has just left is as good as any.
    const gone = this.#gone;
    const path = gone !== undefined && random.chance(0.5)
      ? gone
      : this.#nameIn(random.choose(this.#directories));
    this.#gone = undefined;
    this.#hasMade = true;
    Deno.mkdirSync(this.share.at(path));
    this.#directories.push(path);
    this.#note(`mkdir ${path}`);
  }

  #move(from: string, to: string): void {
    Deno.renameSync(this.share.at(from), this.share.at(to));
    this.#note(`mv ${from} ${to}`);
    this.#rename((path) => renamedIn(path, from, to) ?? path);
  }

  #moveDirectory(random: Random): void {
    const from = random.choose(this.#directories);
    const into = random.choose(this.#directories);
    if (from === this.top || into === from || into.startsWith(`${from}/`)) return;
    this.#move(from, this.#nameIn(into));
    this.#gone = this.#directories.includes(from.slice(0, from.lastIndexOf("/")))
      ? from
      : undefined;
  }

  #exchange(random: Random): void {
    const [one, other] = [random.choose(this.#directories), random.choose(this.#directories)];
    if (`${one}/`.startsWith(`${other}/`) || `${other}/`.startsWith(`${one}/`)) return;
    this.share.exchange(one, other);
    this.#note(`exchange ${one} ${other}`);
    this.#rename((path) => renamedIn(path, one, other) ?? renamedIn(path, other, one) ?? path);
  }

  #rename(renamed: (path: string) => string): void {
    this.#directories = this.#directories.map(renamed);
    this.#letter = renamed(this.#letter);
    this.#gone = undefined;
  }
}

/** Nothing if `path` does not lie in `from`. */
function renamedIn(path: string, from: string, to: string): string | undefined {
  return `${path}/`.startsWith(`${from}/`) ? to + path.slice(from.length) : undefined;
}

async function play(kind: FilesystemKind, seed: number): Promise<void> {
  const random = new Random(seed);
  await using world = await World.start(kind, { channels: { docs: {} } });
  const { only } = world;
  const bob = only.share("bob");
  for (let round = 0; round < ROUNDS; round++) {
    const wanderers = Array.from(
      { length: TREES },
      (_, index) => new Wanderer(bob, `r${round}t${index}`, random.below(3) * 20),
    );
    await only.settled();
    const told = world.user.lines.length;
    const isStopped = random.chance(0.3);
    if (isStopped) world.gate.signal("SIGSTOP");
    for (const wanderer of wanderers) {
      const own = random.fork();
      for (let left = 1 + own.below(MOST_STEPS); left > 0; left--) wanderer.step(own);
      wanderer.infect(own);
      if (own.chance(0.5)) await sleep(own.below(LONGEST_PAUSE_MS));
    }
    if (isStopped) world.gate.signal("SIGCONT");
    await waitFor("all of the malware is found", () => world.user.lines.length >= told + TREES);
    await only.settled();
    for (const { content, history, top } of wanderers) {
      try {
        const isBack = async () => (await only.peersWithout(content)).length === 0;
        await waitFor("all have it again", isBack, 5_000);
      } catch {
        assertEquals(
          await only.peersWithout(content),
          [],
          `seed ${seed}, ${top}${isStopped ? ", all at once" : ""}: ${history.join("; ")}`,
        );
      }
    }
    for (const { top } of wanderers) await Deno.remove(bob.at(top), { recursive: true });
    await only.settled();
  }
}

for (const seed of SEEDS) {
  testOnEachFilesystem(
    `I3: files that wander through new directories, and become malware where they end, are kept: seed ${seed}`,
    (kind) => play(kind, seed),
  );
}
