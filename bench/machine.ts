/** What the figures were measured on. */

import { run } from "../tests/support/command.ts";

export type Machine = Readonly<Record<string, string>>;

export async function describeMachine(): Promise<Machine> {
  const cpu = /^model name\s*: (.*)$/m.exec(Deno.readTextFileSync("/proc/cpuinfo"))?.[1] ??
    Deno.build.arch;
  const memory = Deno.systemMemoryInfo().total / 2 ** 30;
  const inotify = (name: string) => Deno.readTextFileSync(`/proc/sys/fs/inotify/${name}`).trim();
  return {
    processor: `${navigator.hardwareConcurrency} × ${cpu}`,
    memory: `${memory.toFixed(0)} GiB`,
    load: `${Deno.loadavg()[0]?.toFixed(2)} before the run`,
    kernel: Deno.osRelease(),
    deno: Deno.version.deno,
    clamd: await firstLine("clamd", "--version"),
    btrfs: await firstLine("mkfs.btrfs", "--version"),
    gcc: await firstLine("gcc", "--version"),
    inotify: ["max_queued_events", "max_user_instances", "max_user_watches"]
      .map((name) => `${name} ${inotify(name)}`).join(", "),
    commit: await firstLine(
      "git",
      "-C",
      import.meta.dirname ?? ".",
      "rev-parse",
      "--short",
      "HEAD",
    ),
  };
}

async function firstLine(command: string, ...args: string[]): Promise<string> {
  try {
    const { stdout } = await run(command, args);
    return new TextDecoder().decode(stdout).split("\n")[0] || "unknown";
  } catch {
    return "unknown"; // not installed
  }
}
