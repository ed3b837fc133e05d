/**
 * A file that a program writes through mmap(2): nothing tells of that but the closing, which is when the mapping ends. Its
 * times need not change, if the first page was written before.
 */

const libc = Deno.dlopen("libc.so.6", {
  open: { parameters: ["buffer", "i32", "i32"], result: "i32" },
  close: { parameters: ["i32"], result: "i32" },
  mmap: { parameters: ["pointer", "usize", "i32", "i32", "i32", "i64"], result: "pointer" },
  munmap: { parameters: ["pointer", "usize"], result: "i32" },
  memcpy: { parameters: ["pointer", "buffer", "usize"], result: "pointer" },
});

const O_RDWR = 2;
const PROT_READ_WRITE = 3;
const MAP_SHARED = 1;

export class MappedFile implements Disposable {
  readonly #address: Deno.PointerValue;
  readonly #length: bigint;

  /** Maps the whole of an existing file, and writes its first byte to it again. */
  constructor(path: string) {
    const content = Deno.readFileSync(path);
    this.#length = BigInt(content.length);
    const fd = libc.symbols.open(new TextEncoder().encode(`${path}\0`), O_RDWR, 0);
    if (fd < 0) throw new Error(`${path} cannot be opened`);
    this.#address = libc.symbols.mmap(null, this.#length, PROT_READ_WRITE, MAP_SHARED, fd, 0n);
    libc.symbols.close(fd);
    this.write(content.subarray(0, 1));
  }

  /** Overwrites the beginning. */
  write(bytes: Uint8Array<ArrayBuffer>): void {
    libc.symbols.memcpy(this.#address, bytes, BigInt(bytes.length));
  }

  /** The last that holds the file: it is closed now. */
  [Symbol.dispose](): void {
    libc.symbols.munmap(this.#address, this.#length);
  }
}
