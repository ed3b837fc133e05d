/** What a guest does in a share of a channel, and when the others see it (reference/guest.c). */

import type { Channel } from "./channel.ts";
import { build, nextSeed, numbersOf } from "./reference.ts";

export interface Files {
  readonly count: number;
  /** Bytes. */
  readonly size: number;
  readonly perDirectory: number;
}

/** Small files as most cases want them. */
export function smallFiles(count: number): Files {
  return { count, size: 4096, perDirectory: 100 };
}

/** Writes files into a new directory of `place`; its path. */
export async function write(place: string, files: Files): Promise<string> {
  const seed = nextSeed();
  const { count, size, perDirectory } = files;
  await numbersOf(await build("guest"), ["write", place, count, size, perDirectory, seed]);
  return `${place}/${seed}`;
}

export interface Burst {
  /** The directory that was written. */
  readonly name: string;
  /** From the first write until the last target has the last file. */
  readonly seconds: number;
}

/** Writes files into a new directory of a share, as fast as that goes, and waits until all targets have all. */
export async function burst(
  channel: Channel,
  { count, size, perDirectory }: Files,
): Promise<Burst> {
  const seed = nextSeed();
  const args = ["burst", channel.source, count, size, perDirectory, seed, ...channel.targets];
  const [, seconds = NaN] = await numbersOf(await build("guest"), args);
  return { name: `${seed}`, seconds };
}

/** The pause between two single files, in which all of the first one's echoes pass. */
export const PAUSE_MS = 20;

/**
 * Milliseconds, beyond the debounce, from a 4 KiB file's close until the last target has it, for each of `count`
 * files, one after the other.
 */
export async function latencies(
  channel: Channel,
  count: number,
  share = channel.source,
): Promise<number[]> {
  const targets = channel.targetsOf(share);
  const args = ["single", share, count, 4096, PAUSE_MS, nextSeed(), ...targets];
  const all = await numbersOf(await build("guest"), args);
  return all.map((us) => us / 1000 - channel.debounceMs);
}

/** Moves a file into a channel; milliseconds, beyond the debounce, until the last target has it. */
export async function move(channel: Channel, file: string, name: string): Promise<number> {
  const args = ["move", channel.source, file, name, ...channel.targets];
  const [us = NaN] = await numbersOf(await build("guest"), args);
  return us / 1000 - channel.debounceMs;
}
