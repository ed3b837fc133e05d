/** `verify`: says everything that is wrong with a configuration, and changes nothing. */

import { displayText } from "../../ffi/byte_string.ts";
import { exitCode } from "../command_line/exit_codes.ts";
import { print } from "../command_line/print.ts";
import { readClamdLimits } from "../scanning/clamd_configuration.ts";
import type { ChannelConfig } from "./config/channel_config.ts";
import { parseConfiguration } from "./config/configuration.ts";
import { type Fault, formatFault } from "./config/fault.ts";
import { readConfiguration } from "./config/file.ts";
import { describeChannel } from "./config/report.ts";
import { instanceWarnings } from "./inotify_instances.ts";
import { checkLayout } from "./layout_check.ts";
import { realPlaces } from "./real_places.ts";
import { scannerWarnings } from "./scanner_warnings.ts";

export interface VerifyOptions {
  readonly config: string;
  readonly verbose: boolean;
  /** The text alone, no file system. */
  readonly offline: boolean;
  readonly clamdConfig: string;
}

/** The exit code; what was found goes to standard output. */
export function verify(options: VerifyOptions): number {
  const text = readConfiguration(options.config);
  if ("problem" in text) {
    say(`fault: ${text.problem}`);
    return exitCode("failure");
  }
  const configuration = parseConfiguration(text.text, { unknownKeys: "fault" });
  const faults = [...configuration.faults];
  const warnings = [...configuration.warnings];
  if (!options.offline) {
    faults.push(...realPlaces(configuration.channels).faults);
    for (const one of configuration.channels.flatMap(filesystemFaults)) {
      (one.severity === "fault" ? faults : warnings).push(one);
    }
    const limits = readClamdLimits(options.clamdConfig);
    warnings.push(...instanceWarnings(configuration.channels));
    warnings.push(...scannerWarnings(configuration.channels, limits, options.clamdConfig));
  }
  for (const one of [...faults, ...warnings]) say(formatFault(one));
  if (options.verbose) {
    for (const channel of configuration.channels) say(`\n${describeChannel(channel)}`);
    if (configuration.channels.length > 0) say("");
  }
  say(summary(options.config, configuration.channels.length, faults.length, warnings.length));
  return faults.length > 0 ? exitCode("failure") : exitCode("ok");
}

function filesystemFaults({ name, basePath, producers }: ChannelConfig): Fault[] {
  const found = checkLayout(basePath, producers, { sharesMayBeMissing: false });
  return found.map((one) => ({ ...one, channel: name }));
}

function summary(path: string, channels: number, faults: number, warnings: number): string {
  const count = (number: number, what: string) => `${number} ${what}${number === 1 ? "" : "s"}`;
  const found = `${count(faults, "fault")}, ${count(warnings, "warning")}`;
  return `${displayText(path)}: ${count(channels, "channel")}, ${found}`;
}

function say(line: string): void {
  print(Deno.stdout, `${line}\n`);
}
