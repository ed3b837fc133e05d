/** How the cost of channels and of guests grows with their number. */

import { type Effort, type Growth, type GrowthCase, sized } from "../case.ts";
import { type ChannelConfiguration, configurationOf, makeChannel, startGate } from "../channel.ts";
import { burst, smallFiles } from "../guest.ts";
import { Stage } from "../stage.ts";
import { median } from "../statistics.ts";

type Points = [number, number][];

/**
 * Each share has an inotify instance of its own, and the kernel gives a user 128 of them by default: what is beyond is
 * polled, which is another cost. Others need some, too.
 */
function numbers(effort: Effort): number[] {
  const limit = Number(Deno.readTextFileSync("/proc/sys/fs/inotify/max_user_instances"));
  const most = sized(effort, { full: limit * 0.8, quick: limit * 0.8, smoke: 10 });
  return [1, 3, 10, 30, 100, 300, 1000].filter((number) => number <= most);
}

async function growChannels(effort: Effort): Promise<readonly Growth[]> {
  await using stage = await Stage.set({ scanning: false });
  const configuration: Record<string, ChannelConfiguration> = {};
  const ready: Points = [];
  const memory: Points = [];
  const cpu: Points = [];
  for (const count of numbers(effort)) {
    effort.say(`${count} channels`);
    for (let i = Object.keys(configuration).length; i < count; i++) {
      const basePath = `${stage.filesystem.path}/channel-${i}`;
      const channel = configurationOf(basePath, { producers: ["ann"] });
      await makeChannel(channel);
      configuration[`channel-${i}`] = channel;
    }
    await using gate = await startGate(configuration, undefined, "jit");
    ready.push([count, gate.readySeconds]);
    await gate.quiet();
    cpu.push([count, gate.cpuSeconds()]);
    memory.push([count, gate.memoryMiB()]);
    await gate.stop();
  }
  const of = "channels";
  return [
    { title: "starting", of, unit: "s", points: ready },
    { title: "starting, CPU", of, unit: "s", points: cpu },
    { title: "RSS", of, unit: "MiB", points: memory },
  ];
}

const FILES = 20;
const ROUNDS = 3;

async function growGuests(effort: Effort): Promise<readonly Growth[]> {
  await using stage = await Stage.set({ scanning: false });
  const time: Points = [];
  const cpu: Points = [];
  for (const count of numbers(effort)) {
    effort.say(`${count} guests`);
    const producers = Array.from({ length: count + 1 }, (_, i) => `guest-${i}`);
    const channel = await stage.channel("jit", { producers });
    const gate = await channel.start();
    await burst(channel, smallFiles(FILES));
    await gate.quiet();
    const rounds = [];
    for (let round = 0; round < ROUNDS; round++) {
      const before = gate.cpuSeconds();
      const { seconds } = await burst(channel, smallFiles(FILES));
      await gate.quiet();
      rounds.push({ seconds, cpu: gate.cpuSeconds() - before });
    }
    time.push([count, median(rounds.map(({ seconds }) => seconds)) - channel.debounceMs / 1000]);
    cpu.push([count, median(rounds.map((round) => round.cpu))]);
    await gate.stop();
  }
  const of = "guests";
  return [
    { title: `${FILES} files to each of them, time`, of, unit: "s", points: time },
    { title: `${FILES} files to each of them, CPU`, of, unit: "s", points: cpu },
  ];
}

export const channels: GrowthCase = {
  name: "growth-channels",
  title: "growth with channels",
  how: "empty channels of one producer each, as many as fs.inotify.max_user_instances lets watch",
  grow: growChannels,
};

export const guests: GrowthCase = {
  name: "growth-guests",
  title: "growth with guests",
  how: "producers of one channel that receive what one of them writes, scanning off, as many as " +
    "fs.inotify.max_user_instances lets watch",
  grow: growGuests,
};
