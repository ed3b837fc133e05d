/**
 * What a daemon that was taken over could still do in its unit's sandbox: the exact list of what is
 * allowed, out of all that sandbox_probe.ts tries. Everything else is denied.
 */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals } from "@std/assert";
import type { DropIns } from "../support/installation.ts";
import { type Machine, shippedDropIn, testOnMachine, USER } from "../support/machine.ts";

interface Sandbox {
  readonly unit: string;
  /** Drop-ins of the unit; `directory` is what they let it write to. */
  readonly dropIns?: Readonly<Record<string, string>>;
  readonly directory: string;
  readonly allowed: readonly string[];
}

const GATE = "virtiofs-gate.service";

const watching = (directory: string) => ({
  "paths.conf": `[Service]\nBindPaths=${directory}\n`,
});

/** What all of them can: speak to clamd and to systemd. */
const ALL = ["AF_UNIX socket"] as const;

/** The gate compiles JavaScript; the others do without (programs.json). */
const COMPILER = ["write to executable memory"] as const;

/** Whoever writes files can make them executable; only a file system mounted with noexec denies that. */
const WRITER = ["write to its own directory", "execute what a guest wrote"] as const;

const SANDBOXES: Readonly<Record<string, Sandbox>> = {
  "the gate as root": {
    unit: GATE,
    directory: "/var/lib/virtiofs",
    // Signals go to processes of the same user; see the next.
    allowed: [...ALL, ...COMPILER, ...WRITER, "give a file away", "signal systemd"],
  },
  "the gate without root, with guests on vsock": {
    unit: GATE,
    dropIns: {
      "unprivileged.conf": shippedDropIn(`${GATE}.d/unprivileged.conf`),
      "vsock.conf": shippedDropIn(`${GATE}.d/vsock.conf`),
    },
    directory: "/var/lib/virtiofs",
    allowed: [...ALL, ...COMPILER, ...WRITER, "give a file away", "AF_VSOCK socket"],
  },
  "clamd-vproxy": {
    unit: "clamd-vproxy.service",
    directory: "/tmp/nowhere",
    allowed: [...ALL, "AF_VSOCK socket"],
  },
  "clamd-vclient with a user of its own": {
    unit: "clamd-vclient.service",
    dropIns: watching(`/home/${USER}/Downloads`),
    directory: `/home/${USER}/Downloads`,
    // What is /home there is an empty file system of its own.
    allowed: [...ALL, ...WRITER, "AF_VSOCK socket", "write /home"],
  },
  "clamd-vclient as the user": {
    unit: `clamd-vclient@${USER}.service`,
    dropIns: watching(`/home/${USER}/Downloads`),
    directory: `/home/${USER}/Downloads`,
    allowed: [...ALL, ...WRITER, "AF_VSOCK socket"],
  },
  "virtiofs-notify": {
    unit: `virtiofs-notify@${USER}.service`,
    dropIns: watching(`/home/${USER}/docs`),
    directory: `/home/${USER}/docs`,
    allowed: [...ALL, ...WRITER, "AF_VSOCK socket"],
  },
};

for (const [name, { unit, dropIns = {}, directory, allowed }] of Object.entries(SANDBOXES)) {
  const probe = `probe-${unit}`;
  const all: DropIns = {
    [unit]: {
      ...dropIns,
      "probe.conf": `[Service]\nEnvironment=PROBE_DIRECTORY=${directory}\n`,
    },
  };
  testOnMachine(`I8: ${name} can do no more than it needs`, probe, all, async (machine) => {
    const results = await probed(machine, probe);
    assert(results.size > 30, "the probe tried everything");
    const succeeded = [...results].filter(([, outcome]) => outcome === "allowed");
    assertEquals(succeeded.map(([attempt]) => attempt).sort(), [...allowed].sort(), show(results));
  });
}

async function probed({ systemd }: Machine, unit: string): Promise<Map<string, string>> {
  await systemd.systemctl("start", unit);
  const line = /\{.*\}/.exec(await systemd.journal(unit))?.[0];
  assert(line !== undefined, "the probe says what it found");
  return new Map(Object.entries<string>(JSON.parse(line)));
}

function show(results: ReadonlyMap<string, string>): string {
  return [...results].map(([attempt, outcome]) => `${attempt}: ${outcome}`).join("\n");
}
