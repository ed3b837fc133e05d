/**
 * How Deno's own file functions (SQLite, here) reach a directory that no permission names: through a symbolic link
 * in the one directory that is granted. Deno looks at the path it is given and follows links (which is why
 * `Deno.symlink` takes all permissions), so a channel may lie anywhere, and nothing else can be opened.
 */

import { type ByteString, type FileName, fileName, fromText, toText } from "./byte_string.ts";
import { Directory } from "./directory.ts";
import { SystemError } from "./errno.ts";

const PARENT = "/run";
const NAME = "virtiofs-gate";

/** What is to be granted, for reading and writing. */
export const DOORWAY = `${PARENT}/${NAME}`;

/**
 * Calls `use` with a path that leads to `directory`, an absolute path of the host's own, for as long as it runs.
 * Where there can be no link, the path itself is tried: it does where everything is granted. Throws SystemError
 * with the reason where it is not.
 */
export function throughDoorway<T>(directory: ByteString, use: (path: string) => T): T {
  const link = fileName(crypto.randomUUID());
  const links = makeLink(link, directory);
  if (links instanceof SystemError) return directly(directory, use, links);
  try {
    return use(`${DOORWAY}/${toText(link)}`);
  } finally {
    removeLink(links, link);
    links.close();
  }
}

/** The directory with the link in it, or why there is none. */
function makeLink(link: FileName, target: ByteString): Directory | SystemError {
  try {
    using parent = Directory.openTrusted(fromText(PARENT));
    parent.makeDirectory(fileName(NAME), 0o700);
    using opening = new DisposableStack();
    const links = opening.use(Directory.openTrusted(fromText(DOORWAY)));
    links.makeSymbolicLink(link, target);
    opening.move(); // to the caller
    return links;
  } catch (error) {
    // Whichever step it was: that is the place to look at.
    if (error instanceof SystemError) {
      return new SystemError(error.call, error.errno, fromText(DOORWAY));
    }
    throw error;
  }
}

function removeLink(links: Directory, link: FileName): void {
  try {
    links.removeFile(link);
  } catch (error) {
    if (!(error instanceof SystemError)) throw error; // it leads nowhere else, and has done what it was for
  }
}

function directly<T>(directory: ByteString, use: (path: string) => T, obstacle: SystemError): T {
  try {
    return use(toText(directory));
  } catch (error) {
    throw error instanceof Deno.errors.NotCapable ? obstacle : error;
  }
}
