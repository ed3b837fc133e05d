/**
 * How the programs end. Documented here only: help texts and manuals are made from this table.
 */
export const EXIT_CODES = {
  ok: { code: 0, meaning: "done, or stopped on request" },
  failure: { code: 1, meaning: "faults in the configuration, or the program could not start" },
  usage: { code: 2, meaning: "wrong options on the command line" },
  internal: { code: 3, meaning: "stopped by a failure while running" },
} as const;

/** The exit code behind a name of the table. */
export function exitCode(outcome: keyof typeof EXIT_CODES): number {
  return EXIT_CODES[outcome].code;
}

/** Shells' convention for "ended by signal N", used when a second signal cuts the shutdown short. */
export function exitCodeOfSignal(signal: keyof typeof SIGNAL_NUMBERS): number {
  return 128 + SIGNAL_NUMBERS[signal];
}

/** signal(7); the same on x86-64 and aarch64. */
const SIGNAL_NUMBERS = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const;
