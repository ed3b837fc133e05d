import { SystemError } from "../../ffi/errno.ts";

/** What cannot be done is done at another time, or is not worth more. */
export function ignoringRefusal<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    return undefined;
  }
}
