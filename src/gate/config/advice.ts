/** What keeps no channel from running, and is a slip, or will probably surprise its author. */

import type { WrittenChannel } from "./schema.ts";
import { type ChannelFault, quote, warning } from "./fault.ts";
import { patternSurprise } from "../ignore_patterns.ts";

/** `slips`: what a slip without consequences is. */
export function adviceFor(
  written: WrittenChannel,
  slips: ChannelFault["severity"],
): readonly ChannelFault[] {
  return [
    ...receiverAdvice(written),
    ...consumerAdvice(written, slips),
    ...patternAdvice(written),
    ...guestAdvice(written),
    ...(written.debounceMs === 0
      ? [
        warning(
          "debounceMs",
          "0 looks at files while they are still being written, again and again",
        ),
      ]
      : []),
    ...(written.mode === "trusted" && written.scanning?.enable !== false
      ? [warning("mode", `"trusted" has no effect; "scanning": {"enable": false} turns scans off`)]
      : []),
  ];
}

function receiverAdvice({ producers, diodeProducers = [], consumers = [] }: WrittenChannel) {
  const receiving = producers.filter((name) => !diodeProducers.includes(name));
  const [onlyOne] = receiving;
  const nobody = consumers.length === 0 &&
    (onlyOne === undefined || (receiving.length === 1 && diodeProducers.length === 0));
  if (!nobody) return [];
  return [
    warning("consumers", "is empty, and no other producer receives: files reach export/ only"),
  ];
}

/** A slip, though nothing depends on it when the channel runs. */
function consumerAdvice(
  { producers, consumers = [] }: WrittenChannel,
  severity: ChannelFault["severity"],
): readonly ChannelFault[] {
  return consumers.flatMap((name, index) =>
    producers.includes(name)
      ? [{
        severity,
        field: `consumers[${index}]`,
        message: `${quote(name)} is a producer already; list it once`,
      }]
      : []
  );
}

function patternAdvice({ scanning = {} }: WrittenChannel): readonly ChannelFault[] {
  return [
    ...surprises("scanning.ignoreFilePatterns", scanning.ignoreFilePatterns, "name"),
    ...surprises("scanning.ignorePathPatterns", scanning.ignorePathPatterns, "path"),
  ];
}

function surprises(field: string, patterns: readonly string[] = [], over: "name" | "path") {
  return patterns.flatMap((pattern, index) => {
    const surprise = patternSurprise(pattern, over);
    return surprise === undefined
      ? []
      : [warning(`${field}[${index}]`, `${quote(pattern)} ${surprise}`)];
  });
}

function guestAdvice(written: WrittenChannel): readonly ChannelFault[] {
  return (["notify", "guestNotify"] as const).flatMap((section) => {
    const guests = written[section]?.guests ?? [];
    return guests.flatMap((guest, index) =>
      guests.indexOf(guest) === index
        ? []
        : [warning(`${section}.guests[${index}]`, `${guest} is listed already; it is told once`)]
    );
  });
}
