/** The names of conflict copies, and whose they are. */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { fileName } from "../../ffi/byte_string.ts";
import { conflictName, isConflictCopyOf } from "../../src/gate/conflict_name.ts";
import { runs } from "../support/size.ts";

const ANN = fileName("ann");
const TIME = new Date("2026-01-02T03:04:05Z");

Deno.test("a conflict copy tells when and whose it was, and keeps the extension", () => {
  assertEquals(
    conflictName(fileName("report.final.txt"), ANN, TIME, 0),
    fileName("report.final.sync-conflict-20260102-030405-ann.txt"),
  );
  assertEquals(
    conflictName(fileName("Makefile"), ANN, TIME, 1),
    fileName("Makefile.sync-conflict-20260102-030405-ann-2"),
  );
});

Deno.test("I3: copies of other names do not count, however alike these are", () => {
  for (const other of ["report", "r", "rep.txt", "report.txt", "report.doc", "xreport.md"]) {
    const copy = conflictName(fileName(other), ANN, TIME, 0);
    assert(!isConflictCopyOf(copy, fileName("report.md")), other);
  }
});

Deno.test("I3: another extension makes another name, also of one without any", () => {
  for (const [other, name] of [["Makefile.am", "Makefile"], ["Makefile", "Makefile.am"]] as const) {
    const copy = conflictName(fileName(other), ANN, TIME, 0);
    assert(isConflictCopyOf(copy, fileName(other)));
    assert(!isConflictCopyOf(copy, fileName(name)), `${copy} is none of ${name}`);
  }
  assert(!isConflictCopyOf(fileName("Makefile.sync-conflict-notes"), fileName("Makefile")));
});

Deno.test("I6: a dot in a producer's name begins no extension", () => {
  const copy = conflictName(fileName("Makefile"), fileName("office.vm"), TIME, 0);
  assertEquals(copy, fileName("Makefile.sync-conflict-20260102-030405-office_vm"));
  assert(isConflictCopyOf(copy, fileName("Makefile")));
  assert(!isConflictCopyOf(copy, fileName("Makefile.vm")));
});

Deno.test("I6: every copy, and every copy of a copy, counts for its name", () => {
  const part = fc.constantFrom("a", "b", ".", ".sync-conflict-", "x".repeat(70), ".txt", "-2");
  fc.assert(
    fc.property(fc.array(part, { minLength: 1, maxLength: 6 }), fc.nat(200), (parts, attempt) => {
      const text = parts.join("").slice(0, 255);
      if (text === "." || text === "..") return;
      const original = fileName(text);
      const copy = conflictName(original, fileName("p".repeat(80)), TIME, attempt);
      const again = conflictName(copy, ANN, TIME, attempt);
      assert(isConflictCopyOf(copy, original));
      assert(isConflictCopyOf(again, original));
      assert(isConflictCopyOf(again, copy));
    }),
    runs(2000),
  );
});
