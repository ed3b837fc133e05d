/**
 * Tests that share a running gate: one for each filesystem, started when the first of them runs. Each
 * test uses names of its own, and at the end everything together must still hold.
 */

import { FILESYSTEM_KINDS, type FilesystemKind } from "./loop_filesystem.ts";
import { obstacle } from "./prerequisites.ts";

export interface Fixture extends AsyncDisposable {
  /** Called before each test. */
  mark?(): void;
  /** What helps to understand a failure, such as the end of a log. */
  report?(): string;
  /** Fails if something is not as it must be after all tests. */
  verify?(): Promise<void>;
}

export type TestDefinition<F> = (name: string, body: (fixture: F) => Promise<void>) => void;

/** Defines the same tests once for each filesystem. */
export function onEachFilesystem<F extends Fixture>(
  topic: string,
  open: (kind: FilesystemKind) => Promise<F>,
  define: (test: TestDefinition<F>, kind: FilesystemKind) => void,
): void {
  for (const kind of FILESYSTEM_KINDS) {
    const shared = new Shared(() => open(kind));
    const test = (name: string, body: (fixture: F) => Promise<void>) =>
      defineTest(kind, name, () => shared.run(body));
    define(test, kind);
    test(`${topic}: in the end all is well, and nothing stays`, async (fixture) => {
      await fixture.verify?.();
      await shared.close();
    });
    Deno.test.afterAll(() => shared.close()); // where a filter left the last one out
  }
}

/**
 * Defines the same test once for each filesystem; it brings its own parts. `hindrance`: why it cannot run here,
 * besides what all of them need.
 */
export function testOnEachFilesystem(
  name: string,
  body: (kind: FilesystemKind) => Promise<void>,
  hindrance?: string,
): void {
  for (const kind of FILESYSTEM_KINDS) defineTest(kind, name, () => body(kind), hindrance);
}

/** The same on one of them, where it makes no difference on which. */
export function testOnFilesystem(
  kind: FilesystemKind,
  name: string,
  body: (kind: FilesystemKind) => Promise<void>,
): void {
  defineTest(kind, name, () => body(kind));
}

function defineTest(
  kind: FilesystemKind,
  name: string,
  fn: () => Promise<void>,
  hindrance?: string,
): void {
  const reason = obstacle(kind) ?? hindrance;
  Deno.test({
    name: `${name} [${kind}${reason === undefined ? "" : `: ${reason}`}]`,
    ignore: reason !== undefined,
    // A shared daemon outlives the test that started it.
    sanitizeOps: false,
    sanitizeResources: false,
    fn,
  });
}

class Shared<F extends Fixture> {
  #fixture: Promise<F> | undefined;
  #closed = false;

  constructor(private readonly open: () => Promise<F>) {}

  async run(body: (fixture: F) => Promise<void>): Promise<void> {
    // One that failed to start is not started again: each test would wait for it in vain.
    const fixture = await (this.#fixture ??= this.open());
    fixture.mark?.();
    try {
      await body(fixture);
    } catch (error) {
      const report = fixture.report?.();
      if (error instanceof Error && report !== undefined) error.message += `\n${report}`;
      throw error;
    }
  }

  async close(): Promise<void> {
    if (this.#closed || this.#fixture === undefined) return;
    this.#closed = true;
    await (await this.#fixture)[Symbol.asyncDispose]();
  }
}
