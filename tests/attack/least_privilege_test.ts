/** What the gate needs to do all its work, and that it needs no more: capabilities, system calls, Deno's permissions. */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals } from "@std/assert";
import denoConfiguration from "../../deno.json" with { type: "json" };
import { EICAR } from "../support/eicar.ts";
import { testOnEachFilesystem } from "../support/fixture.ts";
import { REPOSITORY } from "../support/gate.ts";
import { hasProgram } from "../support/prerequisites.ts";
import { scratchDirectory } from "../support/scratch.ts";
import { sleep, waitFor } from "../support/wait.ts";
import { World } from "../support/world.ts";
import { report } from "./support/size.ts";

/** As docs/threat-model.md says; by their numbers in linux/capability.h. */
const CAPABILITIES: Readonly<Record<string, number>> = { chown: 0, dac_override: 1, fowner: 3 };

const CHANNELS = { docs: { scanning: { infectedAction: "quarantine" } } } as const;

/** Runs a program as root that is left with these capabilities, and cannot get others. */
function withOnly(capabilities: readonly string[]): readonly string[] {
  const set = ["-all", ...capabilities.map((name) => `+${name}`)].join(",");
  return ["setpriv", "--no-new-privs", "--inh-caps=-all", `--bounding-set=${set}`];
}

async function prepare(kind: "btrfs" | "xfs"): Promise<World> {
  const world = await World.prepare(kind, { channels: CHANNELS });
  await world.clamd.start();
  return world;
}

/** Something of everything that the gate does. */
async function work({ only, user }: World): Promise<void> {
  const [ann, bob] = [only.share("ann"), only.share("bob")];
  // A guest's own directory, which nobody else may enter.
  await ann.write("private/letter", "one", { mode: 0o600, uid: 1000, gid: 1000 });
  await ann.shell("chown -R 1000:1000 private; chmod 700 private");
  await ann.write("large", new Uint8Array(3 * 1024 * 1024), { uid: 1001, gid: 1001 });
  await waitFor("files travel", () => bob.has("private/letter") && bob.has("large"));
  await bob.write("private/letter", "two");
  await waitFor("a change travels", async () => await ann.readText("private/letter") === "two");
  await bob.write("private/virus", EICAR);
  await waitFor("malware goes", () => !bob.has("private/virus"));
  await waitFor("the user is told", () => user.lines.some((line) => /private\/virus$/.test(line)));
  await ann.shell(
    "mkdir empty; mv private moved; ln moved/letter moved/second; chmod 640 moved/letter",
  );
  await waitFor("a rename travels", () => bob.has("moved/second") && !bob.has("private"));
  await only.settled();
  await bob.shell("rm -r moved large empty");
  await waitFor("deletions travel", () => ann.list().length === 0);
  await only.settled();
}

testOnEachFilesystem("I8: three capabilities are enough for all of its work", async (kind) => {
  await using world = await prepare(kind);
  const gate = await world.startGate({ under: withOnly(Object.keys(CAPABILITIES)) });
  const status = await Deno.readTextFile(`/proc/${gate.child.pid}/status`);
  const mask = Object.values(CAPABILITIES).reduce((sum, bit) => sum | (1 << bit), 0);
  const expected = mask.toString(16).padStart(16, "0");
  for (const set of ["CapPrm", "CapEff", "CapBnd"]) {
    assertEquals(new RegExp(`${set}:\\s+([0-9a-f]+)`).exec(status)?.[1], expected, set);
  }
  await work(world);
  // Also a start that finds things to do.
  await world.startGate({ under: withOnly(Object.keys(CAPABILITIES)) });
  await work(world);
  await world.verify();
});

testOnEachFilesystem("I8: none of the three can be left out", async (kind) => {
  await using world = await prepare(kind);
  await world.only.share("ann").write("before", "1", { mode: 0o600, uid: 1000, gid: 1000 });
  for (const missing of Object.keys(CAPABILITIES)) {
    const rest = Object.keys(CAPABILITIES).filter((name) => name !== missing);
    let refusal: unknown;
    try {
      const gate = await world.startGate({ under: withOnly(rest) });
      // It says so, instead of going on as if all were well.
      await gate.logged(/EPERM|EACCES|not permitted|permission denied/i, 10_000);
    } catch (error) {
      refusal = error;
      assert(/EPERM|EACCES|CAP_|permission/i.test(String(error)), `without ${missing}: ${error}`);
    }
    assert(
      refusal !== undefined || !world.only.export.has("before"),
      `without ${missing} it does its work`,
    );
  }
});

/** The table of system calls in the threat model. */
function documentedCalls(): Set<string> {
  const text = Deno.readTextFileSync(`${REPOSITORY}docs/threat-model.md`);
  const [, table = ""] = /<!-- system calls -->([^]*?)<!-- end of system calls -->/.exec(text) ??
    [];
  return new Set([...table.matchAll(/`([a-z0-9_]+)`/g)].map(([, name]) => name ?? ""));
}

testOnEachFilesystem(
  "I8: serving, it makes no system call but those of the threat model",
  async (kind) => {
    if (!hasProgram("strace")) throw new Error("strace is missing: apt-get install strace");
    await using world = await prepare(kind);
    const gate = await world.startGate();
    const file = `${scratchDirectory("strace")}/calls`;
    const tracer = new Deno.Command("strace", {
      args: ["-f", "-qq", "-o", file, "-p", `${gate.child.pid}`],
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
    await waitFor("it is traced", () => /TracerPid:\s+[1-9]/.test(statusText(gate.child.pid)));
    await work(world);
    await sleep(300);
    await gate.term();
    await tracer.status;
    const trace = await Deno.readTextFile(file);
    const seen = new Set(
      [...trace.matchAll(/^\d+ +([a-z0-9_]+)\(/gm)].map(([, name]) => name ?? ""),
    );
    report(`system calls on ${kind}: ${[...seen].sort().join(" ")}`);
    assert(seen.has("renameat2") && seen.has("fchown"), "the trace shows its work");
    assertEquals([...seen.difference(documentedCalls())].sort(), [], "not in docs/threat-model.md");
  },
);

function statusText(pid: number): string {
  return Deno.readTextFileSync(`/proc/${pid}/status`);
}

testOnEachFilesystem(
  "I8: of Deno it asks for what deno.json declares, and nothing once it serves",
  async (kind) => {
    await using world = await prepare(kind);
    const audit = `${scratchDirectory("audit")}/permissions`;
    const gate = await world.startGate({ env: { DENO_AUDIT_PERMISSIONS: audit } });
    const declared = denoConfiguration.permissions.gate;
    const asked = Deno.readTextFileSync(audit).trim().split("\n").map((line) => JSON.parse(line));
    for (const { permission, value } of asked) {
      const what = `${permission} ${value}`;
      if (permission === "ffi") assert(declared.ffi.includes(value), what);
      else if (permission === "env") assert(declared.env.includes(value), what);
      else if (permission === "sys") assert(declared.sys.includes(value), what);
      else {
        // Only the index is opened by path, and through the one directory that is granted.
        const { read, write } = declared;
        const granted = permission === "read" ? read : permission === "write" ? write : [];
        assert(granted.some((path) => String(value).startsWith(`${path}/`)), what);
      }
    }
    const before = Deno.readTextFileSync(audit).length;
    await work(world);
    assertEquals(Deno.readTextFileSync(audit).slice(before), "");
    assertEquals(gate.status, undefined);
  },
);
