/**
 * Directories whose places others have got: of an exchange the one's arrival is told before the other's departure, which
 * follows at once. What was replaced instead (rename(2), over an empty directory) is forgotten after a while.
 */

import type { FileName } from "../../ffi/byte_string.ts";
import type { WatchNode, WatchTree } from "./watch_tree.ts";

const WAIT_MS = 50;
/** At a time (I6). */
const MOST = 64;

interface Displaced {
  readonly node: WatchNode;
  readonly parent: WatchNode;
  readonly name: FileName;
  readonly untilMs: number;
}

export class DisplacedDirectories {
  /** The oldest first. */
  readonly #waiting: Displaced[] = [];

  constructor(private readonly tree: WatchTree) {}

  /** Takes what is known as `name` in `parent` out of its place. */
  displace(parent: WatchNode, name: FileName, nowMs: number): void {
    const node = this.tree.child(parent, name);
    if (node === undefined) return;
    this.tree.detach(node);
    this.#waiting.push({ node, parent, name, untilMs: nowMs + WAIT_MS });
    if (this.#waiting.length > MOST) this.#forget(this.#waiting.shift());
  }

  /** What had this place before it lost it; it is no longer kept here. */
  take(parent: WatchNode, name: FileName): WatchNode | undefined {
    const at = this.#waiting.findIndex((one) => one.parent === parent && one.name === name);
    const [taken] = at < 0 ? [] : this.#waiting.splice(at, 1);
    if (taken === undefined || !this.tree.hasEnded(taken.node)) return taken?.node;
    this.#forget(taken); // it was replaced
    return undefined;
  }

  /** When `expire` has something to do. */
  get nextExpiryAt(): number {
    return this.#waiting[0]?.untilMs ?? Infinity;
  }

  expire(nowMs: number): void {
    while (this.#waiting.length > 0 && this.nextExpiryAt <= nowMs) {
      this.#forget(this.#waiting.shift());
    }
  }

  #forget(displaced: Displaced | undefined): void {
    // It has a place again if it was met elsewhere.
    if (displaced && !this.tree.isAttached(displaced.node)) this.tree.remove(displaced.node);
  }
}
