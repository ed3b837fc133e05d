/** A channel as its host lays it out on disk, and what must hold of it once things have settled. */

import { EICAR } from "./eicar.ts";
import { Share } from "./share.ts";
import { contentDifferences, filesThatHold, readTrees, treeDifferences } from "./tree.ts";
import { sleep, waitFor } from "./wait.ts";

/** Short, so that tests are; long enough that one user's action stays one. */
export const DEBOUNCE_MS = 60;

/** A user of the guests. */
export const GUEST_ID = 1000;

export interface ChannelOptions {
  readonly producers?: readonly string[];
  readonly diodeProducers?: readonly string[];
  readonly consumers?: readonly string[];
  readonly scanning?: Readonly<Record<string, unknown>>;
  /** Further fields of the configuration. */
  readonly more?: Readonly<Record<string, unknown>>;
}

/** A mark in the names of the files that only help to wait. */
const FENCE = ".fence-";

export class Channel {
  readonly #shares: ReadonlyMap<string, Share>;
  #fences = 0;

  private constructor(
    readonly name: string,
    readonly basePath: string,
    readonly options: ChannelOptions,
  ) {
    this.#shares = new Map(
      [...this.producers, "export"].map((name) => [
        name,
        new Share(name, name === "export" ? `${basePath}/export` : `${basePath}/share/${name}`),
      ]),
    );
  }

  /** Makes the shares' directories; the rest is the daemon's to make. */
  static async create(
    name: string,
    basePath: string,
    options: ChannelOptions = {},
  ): Promise<Channel> {
    const channel = new Channel(name, basePath, options);
    for (const producer of channel.producers) {
      await Deno.mkdir(channel.share(producer).path, { recursive: true });
      await Deno.chown(channel.share(producer).path, GUEST_ID, GUEST_ID);
    }
    return channel;
  }

  get producers(): readonly string[] {
    return this.options.producers ?? ["ann", "bob", "cid"];
  }

  /** This channel's part of the configuration file. */
  get configuration(): Readonly<Record<string, unknown>> {
    const { diodeProducers, consumers, scanning, more } = this.options;
    return {
      basePath: this.basePath,
      producers: this.producers,
      debounceMs: DEBOUNCE_MS,
      ...(diodeProducers === undefined ? {} : { diodeProducers }),
      ...(consumers === undefined ? {} : { consumers }),
      ...(scanning === undefined ? {} : { scanning }),
      ...more,
    };
  }

  /** A producer's share, or `export`. */
  share(name: string): Share {
    const share = this.#shares.get(name);
    if (share === undefined) throw new RangeError(`no share ${name} in channel ${this.name}`);
    return share;
  }

  get export(): Share {
    return this.share("export");
  }

  get #diodes(): readonly string[] {
    return this.options.diodeProducers ?? [];
  }

  /** Every place that has to hold the same: the producers that are no diodes, and export. */
  get peers(): readonly Share[] {
    return [...this.producers.filter((name) => !this.#diodes.includes(name)), "export"].map(
      (name) => this.share(name),
    );
  }

  get quarantine(): string {
    return `${this.basePath}/quarantine`;
  }

  /** What lies in staging. */
  staged(): string[] {
    return [...Deno.readDirSync(`${this.basePath}/staging`)].map((entry) => entry.name);
  }

  /** The daemon's private directory; its layout is its own business. */
  get stateDirectory(): string {
    return `${this.basePath}/.virtiofs-gate`;
  }

  get indexPath(): string {
    return `${this.stateDirectory}/index.sqlite`;
  }

  /**
   * Waits until the peers hold the same below `directory`, attributes and content, and staging is empty;
   * then looks again a little later, when it must still be so (I3).
   */
  async settled(directory = ""): Promise<void> {
    let differences: string[] = [];
    const inWords = () => `${this.name} does not settle:\n${shorten(differences)}`;
    const look = async () => {
      differences = await this.differences(directory);
      return differences.length === 0;
    };
    await waitFor(inWords, look);
    await sleep(3 * DEBOUNCE_MS);
    if (!await look()) await waitFor(inWords, look, 15_000);
  }

  /** In words, what is not the same in the peers. */
  async differences(directory = ""): Promise<string[]> {
    const [first, ...others] = this.peers;
    if (first === undefined) return [];
    const [tree = new Map(), ...otherTrees] = await readTrees(
      this.peers.map((peer) => peer.at(directory)),
    );
    const differences = this.staged().map((name) => `staging holds ${name}`);
    for (const [number, other] of others.entries()) {
      const otherTree = otherTrees[number] ?? new Map();
      differences.push(...treeDifferences(tree, otherTree, first.name, other.name));
    }
    if (differences.length > 0) return differences;
    return await contentDifferences(
      first.at(directory),
      ...others.map((other) => other.at(directory)),
    );
  }

  /**
   * Waits until the gate has dealt with everything that was done before: a file of each producer arrives in export.
   * For tests of things that must NOT happen; what they look at must be looked at again at the end.
   */
  async quiet(): Promise<void> {
    const names = await Promise.all(this.producers.map(async (producer) => {
      const name = `${FENCE}${producer}-${this.#fences++}`;
      await this.share(producer).write(name, name);
      return name;
    }));
    await waitFor(
      () => `${this.name}: ${names.filter((name) => !this.export.has(name))} not in export`,
      () => names.every((name) => this.export.has(name)),
    );
    await sleep(5 * DEBOUNCE_MS);
  }

  /** The peers that have the content in no file, under whatever name. */
  async peersWithout(content: string): Promise<string[]> {
    const bytes = new TextEncoder().encode(content);
    const found = await filesThatHold(bytes, this.peers.map(({ path }) => path));
    return this.peers.filter(({ path }) => !found.some((file) => file.startsWith(`${path}/`)))
      .map(({ name }) => name);
  }

  /** The files below `directory` with infected content, in any place but the listed shares (I1). */
  async infectedElsewhere(than: readonly string[] = [], directory = ""): Promise<string[]> {
    const places = this.producers.filter((name) => !than.includes(name));
    return await filesThatHold(
      EICAR,
      [...places, "export"].map((name) => this.share(name).at(directory)),
    );
  }
}

/** The head of a long list. */
function shorten(lines: readonly string[], most = 15): string {
  const shown = lines.slice(0, most).map((line) => `    ${line}`);
  if (lines.length > most) shown.push(`    … and ${lines.length - most} more`);
  return shown.join("\n");
}
