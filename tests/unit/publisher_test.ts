/** What publishing leaves behind where it fails: nothing. */

// @ts-types="../support/assert.d.ts"
import { assertEquals, assertThrows } from "@std/assert";
import { fileName, fromText, type RelativePath } from "../../ffi/byte_string.ts";
import { Directory } from "../../ffi/directory.ts";
import { SystemError } from "../../ffi/errno.ts";
import { statusOf } from "../../ffi/file_status.ts";
import { Publisher } from "../../src/gate/publisher.ts";
import { Recovery } from "../../src/gate/recovery.ts";
import { Replica } from "../../src/gate/replica.ts";
import { Stager } from "../../src/gate/snapshot.ts";

function descriptors(): number {
  return [...Deno.readDirSync("/proc/self/fd")].length;
}

Deno.test("I6: parent directories that cannot be made cost no descriptors", () => {
  const path = Deno.makeTempDirSync({ prefix: "publisher-" });
  try {
    for (const name of ["ann/above/below", "bob", "staging", "recovery"]) {
      Deno.mkdirSync(`${path}/${name}`, { recursive: true });
    }
    using staging = Directory.openTrusted(fromText(`${path}/staging`));
    using directory = Directory.openTrusted(fromText(`${path}/recovery`));
    const recovery = new Recovery(directory, () => undefined, () => {});
    recovery.recover();
    const publisher = new Publisher(staging, new Stager(staging), recovery, () => {});
    const [ann, bob] = ["ann", "bob"].map((name) => {
      const replica = new Replica("producer", fileName(name));
      replica.attach(Directory.openTrusted(fromText(`${path}/${name}`)), 1);
      return replica;
    });
    if (ann?.root === undefined || bob === undefined) throw new Error("no replicas");
    const like = statusOf(ann.root);
    Deno.removeSync(`${path}/staging`); // nothing can be made there any more

    const before = descriptors();
    for (let attempt = 0; attempt < 10; attempt++) {
      const at = fromText("above/below") as RelativePath;
      using target = bob.view(at);
      assertThrows(() => publisher.makeDirectory(target, at, ann, like), SystemError, "ENOENT");
    }
    assertEquals(descriptors(), before);

    ann.detach();
    bob.detach();
    recovery.close();
  } finally {
    Deno.removeSync(path, { recursive: true });
  }
});
