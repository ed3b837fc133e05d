/**
 * Where a test stands between this project and the C library, to make system calls fail, to act just
 * before one, or to let one be the last. No program sets it and nothing outside can: without a test's own
 * entry point, which must set it before `libc.ts` is loaded, the library is used as it is.
 */

/** Gives an object of the same shape to be used in place of the library's functions. */
export interface LibraryWrapper {
  wrap<Library extends object>(library: Library): Library;
}

let wrapper: LibraryWrapper | undefined;

/** For tests only. */
export function wrapLibrary(testWrapper: LibraryWrapper): void {
  wrapper = testWrapper;
}

/** The library itself, unless a test has wrapped it. */
export function maybeWrapped<Library extends object>(library: Library): Library {
  return wrapper === undefined ? library : wrapper.wrap(library);
}
