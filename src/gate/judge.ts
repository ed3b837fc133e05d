/** From a snapshot to what may be done with it: the scanner's verdict under the channel's rules. */

import { display, type RelativePath } from "../../ffi/byte_string.ts";
import type { Directory } from "../../ffi/directory.ts";
import { lacksDescriptors } from "../../ffi/errno.ts";
import type { Scanner, Verdict } from "../scanning/scanner.ts";
import { VersionMemory } from "../scanning/version_memory.ts";
import type { InfectedAction, ScanningConfig } from "./config/channel_config.ts";
import { EvasiveMalware } from "./evasive_malware.ts";
import { showPlace } from "./publisher.ts";
import { quarantine } from "./quarantine.ts";
import type { Replica } from "./replica.ts";
import { sameIdentity } from "./replica_record.ts";
import type { Snapshot, Stager } from "./snapshot.ts";

export type Judgement =
  | { readonly kind: "clean" }
  /** Not published, not deleted; tried again. */
  | { readonly kind: "held" }
  | { readonly kind: "infected"; readonly signature: string };

export interface JudgeParts {
  readonly channel: string;
  readonly config: ScanningConfig;
  readonly scanner: Scanner;
  readonly stager: Stager;
  /** The caller closes it. Throws where it cannot be used. */
  openQuarantine(): Directory;
  onMalware(place: Replica, path: RelativePath, signature: string): void;
  /** `travels`: the channel lets it through all the same. */
  onScanError(place: Replica, path: RelativePath, reason: string, travels: boolean): void;
  /** Of what a replica has. */
  onTrouble(message: string, place: Replica): void;
}

/** A scan that was begun before anybody asked for its verdict. */
interface ScanAhead {
  readonly snapshot: Snapshot;
  /** `undefined` where the scan failed: it is tried again when somebody asks. */
  readonly verdict: Promise<Verdict | undefined>;
  isRunning: boolean;
}

const CLEAN: Judgement = { kind: "clean" };

export class Judge {
  readonly #parts: JudgeParts;
  readonly #memory = new VersionMemory();
  /** The last one. */
  #ahead: ScanAhead | undefined;
  /** Told, but still to be removed. */
  readonly #stuck = new VersionMemory();
  /** In quarantine. */
  readonly #kept = new VersionMemory();
  /** Told, but changed by somebody in the meantime. */
  readonly #evasive = new EvasiveMalware();

  constructor(parts: JudgeParts) {
    this.#parts = parts;
  }

  get action(): InfectedAction {
    return this.#parts.config.infectedAction;
  }

  get isScanning(): boolean {
    return this.#parts.config.enable;
  }

  /** Whether infected files are found, and left where they are. */
  get infectedStays(): boolean {
    return this.#parts.config.enable && this.action === "log";
  }

  /**
   * Has a snapshot scanned for which a verdict may be asked in a moment, if nothing is scanned so already. `false` if there
   * is nothing to scan.
   */
  scanAhead(snapshot: Snapshot): boolean {
    if (!this.#isToBeScanned(snapshot) || this.#ahead?.isRunning) return false;
    const verdict = this.#scan(snapshot).catch(() => undefined);
    const ahead: ScanAhead = { snapshot, verdict, isRunning: true };
    this.#ahead = ahead;
    verdict.then((verdict) => {
      ahead.isRunning = false;
      this.#remember(snapshot, verdict); // for another snapshot of that version
    });
    return true;
  }

  /** `told`: the user has heard already that this version could not be scanned. */
  async judge(
    snapshot: Snapshot,
    author: Replica,
    path: RelativePath,
    { told }: { readonly told: boolean },
  ): Promise<Judgement> {
    if (!this.#isToBeScanned(snapshot)) return CLEAN;
    const verdict = await this.#verdictOn(snapshot);
    switch (verdict.kind) {
      case "clean":
        this.#remember(snapshot, verdict);
        return CLEAN;
      case "infected":
        return { kind: "infected", signature: verdict.signature };
      case "unscannable":
      case "error":
        return this.#withoutVerdict(verdict, author, path, told);
    }
  }

  /** Tells of malware about which something is done now. `false` if that is no news. */
  tell(snapshot: Snapshot, author: Replica, path: RelativePath, signature: string): boolean {
    const isNews = !this.#isStuck(snapshot) &&
      !this.#evasive.isTold(snapshot.source, signature, path, performance.now());
    if (isNews) this.#parts.onMalware(author, path, signature);
    return isNews;
  }

  /** It was changed, or gone, before it could be removed. */
  evaded(
    { source }: Snapshot,
    path: RelativePath,
    signature: string,
    { isKept }: { readonly isKept: boolean },
  ): void {
    this.#evasive.evaded(source, signature, path, performance.now(), isKept);
  }

  removed({ source }: Snapshot, signature: string): void {
    this.#evasive.removed(source, signature);
  }

  #isToBeScanned({ size, stable, source }: Snapshot): boolean {
    // An empty file holds nothing to scan.
    if (!this.#parts.config.enable || size === 0) return false;
    return !stable || !this.#memory.has(source);
  }

  #remember({ stable, source }: Snapshot, verdict: Verdict | undefined): void {
    if (stable && verdict?.kind === "clean") this.#memory.remember(source);
  }

  /** Where there is none, the scan has begun when this returns. */
  async #verdictOn(snapshot: Snapshot): Promise<Verdict> {
    const ahead = this.#ahead;
    if (ahead === undefined || !isFor(ahead, snapshot)) return await this.#scan(snapshot);
    const verdict = await ahead.verdict;
    return verdict === undefined || verdict.kind === "error" ? await this.#scan(snapshot) : verdict;
  }

  async #scan(snapshot: Snapshot): Promise<Verdict> {
    const { scanner, config } = this.#parts;
    using file = snapshot.share();
    const limit = config.maxFileSize === undefined ? {} : { maxFileSize: config.maxFileSize };
    return await scanner.scan(file, snapshot.size, limit);
  }

  #withoutVerdict(
    verdict: Extract<Verdict, { reason: string }>,
    author: Replica,
    path: RelativePath,
    told: boolean,
  ): Judgement {
    const { config, onScanError } = this.#parts;
    const passes = verdict.kind === "error" ? config.permissive : config.oversize === "allow";
    if (!told) onScanError(author, path, verdict.reason, passes);
    return passes ? CLEAN : { kind: "held" };
  }

  /** This malware could not be removed: tried again, it is no news. `true` if it was none before. */
  cannotBeRemoved(snapshot: Snapshot): boolean {
    const isNews = !this.#isStuck(snapshot);
    this.#stuck.remember(snapshot.source);
    return isNews;
  }

  #isStuck({ stable, source }: Snapshot): boolean {
    return stable && this.#stuck.has(source);
  }

  /**
   * With `quarantine`, keeps a clone of what was found, if it is news, or could not be kept before: it may have been told
   * long ago. A failure leaves the removal as it is. Whether there is a copy, or need not be.
   */
  async keepEvidence(
    snapshot: Snapshot,
    author: Replica,
    path: RelativePath,
    signature: string,
    { isNews }: { readonly isNews: boolean },
  ): Promise<boolean> {
    if (this.action !== "quarantine") return true;
    if (!isNews && this.#isKept(snapshot, signature)) return true;
    const { channel, stager, onTrouble } = this.#parts;
    const { source, staged, size, stable } = snapshot;
    try {
      using directory = this.#parts.openQuarantine();
      await quarantine(directory, stager, {
        channel,
        share: author.producer,
        path,
        signature,
        source,
        staged,
        size,
      });
      if (stable) this.#kept.remember(source);
      return true;
    } catch (error) {
      if (lacksDescriptors(error)) throw error; // in a moment there are some
      if (!isNews) return false; // told, as the malware itself
      const reason = error instanceof Error ? error.message : display(author.name);
      onTrouble(
        `${showPlace(author, path)} could not be put into quarantine (${reason}): deleted instead`,
        author,
      );
      return false;
    }
  }

  #isKept({ stable, source }: Snapshot, signature: string): boolean {
    return (stable && this.#kept.has(source)) ||
      this.#evasive.isKept(source, signature, performance.now());
  }
}

/** Also another snapshot's of that version: the one that is scanned may have been given up meanwhile. */
function isFor({ snapshot, isRunning }: ScanAhead, other: Snapshot): boolean {
  if (snapshot === other) return true;
  return isRunning && snapshot.stable && other.stable &&
    sameIdentity(snapshot.source, other.source);
}
