/** Whether a channel's directories are still in their places: the host may remove, replace or cover them while it runs. */

import { isErrno, lacksDescriptors, SystemError } from "../../ffi/errno.ts";
import type { ByteString } from "../../ffi/byte_string.ts";
import { displacedPlace, type Layout } from "./layout.ts";

/** For how long directories that were seen in their places are taken to be there, in ms: less than a quiet time. */
const SAME_PLACES_MS = 10;

export interface OwnPlacesParts {
  readonly layout: Layout;
  onDisplaced(place: ByteString, hasFailed: boolean): void;
  onShortage(error: SystemError): void;
}

export class OwnPlaces {
  readonly #parts: OwnPlacesParts;
  readonly #displaced = Promise.withResolvers<void>();
  #areDisplaced = false;
  #haveFailed = false;
  #seenAt = -Infinity;

  constructor(parts: OwnPlacesParts) {
    this.#parts = parts;
  }

  /** Settles when one of them is not in its place any more: what is done with what is held reaches nobody from then on. */
  get displaced(): Promise<void> {
    return this.#displaced.promise;
  }

  /** As far as was seen. */
  get areDisplaced(): boolean {
    return this.#areDisplaced;
  }

  /** The file system has failed, as where a disk was lost: as long as anything of it is open, it stays as it is. */
  get haveFailed(): boolean {
    return this.#haveFailed;
  }

  /** Looks at them, if that was not done just now. Whether one of them is not in its place. */
  look(): boolean {
    const now = performance.now();
    if (this.#areDisplaced || now - this.#seenAt < SAME_PLACES_MS) return this.#areDisplaced;
    this.#seenAt = now;
    const place = this.#displacedPlace();
    if (place === undefined) return false;
    this.#areDisplaced = true;
    this.#parts.onDisplaced(place, this.#haveFailed);
    this.#displaced.resolve();
    return true;
  }

  #displacedPlace(): ByteString | undefined {
    const { layout, onShortage } = this.#parts;
    try {
      return displacedPlace(layout);
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      if (lacksDescriptors(error)) onShortage(error);
      if (!isErrno(error, "EIO")) return undefined; // nothing is known
      this.#haveFailed = true;
      return layout.basePath;
    }
  }
}
