import { type ByteString, fromText, writeBytes } from "./byte_string.ts";
import { Descriptor } from "./descriptor.ts";
import { ERRNO, SystemError } from "./errno.ts";
import { errno, libc } from "./libc.ts";

const MFD_CLOEXEC = 1;
const MFD_NOEXEC_SEAL = 8;
const NAME_MAX = 249;

/**
 * An empty file in memory without a name in any file system (memfd_create(2)), readable and writable. `label` is
 * what others see of it, in /proc and in the logs of whom it is passed to. Holes take no memory.
 */
export function createMemoryFile(label: string): Descriptor {
  const name: ByteString = fromText(label);
  if (name.length > NAME_MAX) throw new RangeError(`a label of at most ${NAME_MAX} bytes`);
  const bytes = new Uint8Array(name.length + 1);
  writeBytes(name, bytes);
  let number = libc.memfd_create(bytes, MFD_CLOEXEC | MFD_NOEXEC_SEAL);
  if (number >= 0) return new Descriptor(number);
  const failure = errno();
  if (failure !== ERRNO.EINVAL) throw new SystemError("memfd_create", failure);
  number = libc.memfd_create(bytes, MFD_CLOEXEC); // before Linux 6.3 there was no NOEXEC_SEAL
  if (number < 0) throw new SystemError("memfd_create", errno());
  return new Descriptor(number);
}
