/** What happens to daemons and disks. In the end all is well again, and the gate and clamd run. */

import { emptyDisk, fillDisk } from "../support/full_disk.ts";
import { Gate } from "../support/gate.ts";
import { startMachineAnew } from "../support/index_file.ts";
import { sleep } from "../support/wait.ts";
import type { World } from "../support/world.ts";
import type { Guests } from "./guests.ts";
import type { Random } from "./random.ts";

interface Scene {
  readonly world: World;
  readonly guests: Guests;
  readonly random: Random;
  readonly history: string[];
}

/** More than fs.inotify.max_queued_events, as far as that is not raised beyond reason. */
const MOST_FLOOD = 200_000;
const BUSY_ACTS = 30;

export const MISFORTUNES: Readonly<Record<string, (scene: Scene) => Promise<void>>> = {
  async "gate killed and started"({ world }) {
    await world.gate.kill();
    await world.startGate();
  },

  async "gate ended and started"({ world }) {
    await world.gate.term();
    await world.startGate();
  },

  async "gate killed while it started"({ world, random }) {
    await world.gate.kill();
    await using starting = launch(world);
    await sleep(random.below(400));
    await starting.kill();
    await world.startGate();
  },

  async "guests at work while the gate was away"(scene) {
    await scene.world.gate.kill();
    actAll(scene);
    await scene.world.startGate();
  },

  async "gate stood still"({ world, random }) {
    world.gate.child.kill("SIGSTOP");
    await sleep(random.below(1000));
    world.gate.child.kill("SIGCONT");
  },

  async "events lost"(scene) {
    const { gate, only } = scene.world;
    gate.child.kill("SIGSTOP");
    try {
      flood(only.share(scene.random.choose(["ann", "bob", "cid"])).path);
      actAll(scene);
      await sleep(scene.random.below(300));
    } finally {
      gate.child.kill("SIGCONT");
    }
  },

  async "the power failed"({ world, guests }) {
    await world.gate.kill();
    await world.clamd.kill(); // it may still read what the gate handed to it
    await world.filesystem.keepDisk();
    await world.filesystem.losePower();
    startMachineAnew(world.only.indexPath);
    guests.lookAfterPowerFailure();
    await world.clamd.start();
    await world.startGate();
  },

  async "clamd killed and started"({ world: { clamd }, random }) {
    await clamd.kill();
    await sleep(random.below(1500));
    await clamd.start();
  },

  async "clamd stood still"({ world: { clamd }, random }) {
    clamd.freeze();
    await sleep(random.below(1500));
    clamd.thaw();
  },

  async "disk full"(scene) {
    const ballast = `${scene.world.filesystem.path}/ballast`;
    Deno.mkdirSync(ballast);
    try {
      await fillDisk(ballast);
      actAll(scene);
      await sleep(scene.random.below(1500));
      actAll(scene);
    } finally {
      await emptyDisk(ballast);
    }
  },

  /** The kernel refuses it while the gate has files open for writing: it happens before a start. */
  async "started on a read-only disk"({ world }) {
    await world.gate.kill();
    // One that stood still keeps what a gate that was killed meanwhile had handed to it, and that the disk writable.
    await world.clamd.kill();
    await world.filesystem.remount("ro");
    await world.clamd.start();
    try {
      await using unlucky = launch(world);
      await sleep(1500);
      await unlucky.kill();
    } finally {
      await world.filesystem.remount("rw");
    }
    await world.startGate();
  },
};

function launch(world: World): Gate {
  return Gate.launch({ configuration: world.configuration, clamdSocket: world.clamd.socket });
}

function actAll({ guests, history }: Scene): void {
  for (let i = 0; i < BUSY_ACTS; i++) history.push(guests.act());
}

/** Events that are never merged, until the queue must have overflowed. */
function flood(share: string): void {
  const queue = Number(Deno.readTextFileSync("/proc/sys/fs/inotify/max_queued_events"));
  const names = [`${share}/flood-1`, `${share}/flood-2`] as const;
  for (const name of names) Deno.writeTextFileSync(name, "");
  const events = Math.min(queue + 1000, MOST_FLOOD);
  for (let i = 0; i < events; i++) Deno.chmodSync(names[i % 2] ?? names[0], 0o600 + (i & 0o77));
}
