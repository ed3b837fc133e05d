/** One channel as written → as it runs: defaults, both vocabularies, the checks between fields. */

import { fileName, fromText } from "../../../ffi/byte_string.ts";
import type { ChannelConfig, Guest } from "./channel_config.ts";
import { DEFAULTS, type WrittenChannel } from "./schema.ts";
import { type ChannelFault, describeValue, fault, quote } from "./fault.ts";

/** A channel, or the faults that keep it from being one. */
export type NormalForm =
  | { readonly channel: ChannelConfig }
  | { readonly faults: readonly ChannelFault[] };

type GuestEntries = NonNullable<NonNullable<WrittenChannel["notify"]>["guests"]>;

export function normalForm(name: string, written: WrittenChannel): NormalForm {
  const { scanning = {}, userNotify = {} } = written;
  const notify = written.notify ?? {};
  const guestNotify = written.guestNotify ?? {};
  const faults = [
    ...roleFaults(written),
    ...disagreement(
      ["scanning.notifySocket", scanning.notifySocket && normalPath(scanning.notifySocket)],
      ["userNotify.socket", userNotify.socket && normalPath(userNotify.socket)],
    ),
    ...disagreement(["notify.guests", inOrder(notify.guests)], [
      "guestNotify.guests",
      inOrder(guestNotify.guests),
    ]),
    ...disagreement(["notify.port", notify.port], ["guestNotify.port", guestNotify.port]),
  ];
  if (faults.length > 0) return { faults };
  const socket = userNotify.socket ?? scanning.notifySocket ?? DEFAULTS.userNotify.socket;
  return {
    channel: {
      name,
      basePath: fromText(normalPath(written.basePath)),
      producers: written.producers.map(fileName),
      diodeProducers: new Set((written.diodeProducers ?? []).map(fileName)),
      consumers: (written.consumers ?? []).map(fileName),
      debounceMs: written.debounceMs ?? DEFAULTS.debounceMs,
      conflictCopies: written.conflictCopies ?? DEFAULTS.conflictCopies,
      scanning: scanningForm(scanning),
      userNotify: {
        enable: userNotify.enable ?? DEFAULTS.userNotify.enable,
        socket: normalPath(socket),
      },
      guestNotify: {
        guests: [...new Set(guestNotify.guests ?? notify.guests ?? [])].map(guestForm),
        port: guestNotify.port ?? notify.port ?? DEFAULTS.guestNotify.port,
      },
    },
  };
}

function scanningForm(
  written: NonNullable<WrittenChannel["scanning"]>,
): ChannelConfig["scanning"] {
  return {
    enable: written.enable ?? DEFAULTS.scanning.enable,
    infectedAction: written.infectedAction ?? DEFAULTS.scanning.infectedAction,
    permissive: written.permissive ?? DEFAULTS.scanning.permissive,
    ignoreFilePatterns: written.ignoreFilePatterns ?? [],
    ignorePathPatterns: written.ignorePathPatterns ?? [],
    oversize: written.oversize ?? DEFAULTS.scanning.oversize,
    maxFileSize: written.maxFileSize ?? undefined,
  };
}

function guestForm(written: GuestEntries[number]): Guest {
  return typeof written === "number"
    ? { kind: "vsock", cid: written }
    : { kind: "hybrid", socket: normalPath(written) };
}

/** Without `.` and doubled or trailing slashes; the schema has refused `..`. */
export function normalPath(absolute: string): string {
  return `/${absolute.split("/").filter((part) => part !== "" && part !== ".").join("/")}`;
}

function roleFaults({ producers, diodeProducers = [] }: WrittenChannel) {
  const faults: ChannelFault[] = [];
  for (const [index, name] of diodeProducers.entries()) {
    if (producers.includes(name)) continue;
    faults.push(fault(`diodeProducers[${index}]`, `${quote(name)} is not among the producers`));
  }
  return faults;
}

type Named = readonly [field: string, value: unknown];

/** Two names for one thing: either may be used, both only if they say the same. */
function disagreement([field, value]: Named, [other, otherValue]: Named): readonly ChannelFault[] {
  if (value === undefined || otherValue === undefined) return [];
  if (JSON.stringify(value) === JSON.stringify(otherValue)) return [];
  const [said, otherSaid] = [value, otherValue].map((one) =>
    Array.isArray(one) ? `[${one.join(", ")}]` : describeValue(one)
  );
  return [fault(
    field,
    `says ${said}, but ${other}, which is the same option, says ${otherSaid}; keep one of them`,
  )];
}

/** Lists that differ in order alone say the same. */
function inOrder(guests: GuestEntries | undefined): readonly string[] | undefined {
  return guests && [...new Set(guests.map(String))].sort();
}
