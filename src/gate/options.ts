/** The command line of `virtiofs-gate`. */

import { defineProgram } from "../command_line/definition.ts";

const CONFIG = {
  kind: "text",
  short: "c",
  value: "FILE",
  required: true,
  help: "the channels, as JSON",
} as const;

const DEBUG = { kind: "flag", short: "d", help: "log debug messages too" } as const;

/** Where it usually is; it may be missing, or not be meant for us. */
export const USUAL_CLAMD_CONFIG = "/etc/clamav/clamd.conf";

const CLAMD_CONFIG = {
  kind: "text",
  value: "PATH",
  default: USUAL_CLAMD_CONFIG,
  help: "clamd's configuration, read for its size limits where they cannot be found out by " +
    "asking clamd, and for what it passes unseen",
} as const;

export const GATE = defineProgram({
  name: "virtiofs-gate",
  summary: "share files between virtual machines, scanned first",
  commands: {
    run: {
      summary: "serve the channels, in the foreground, until SIGTERM or SIGINT; SIGHUP reloads",
      options: {
        config: CONFIG,
        debug: DEBUG,
        noScan: {
          kind: "flag",
          help: "scan nothing, whatever the channels say: every file counts as clean",
        },
        clamdSocket: {
          kind: "socket",
          value: "PATH",
          default: "/var/run/clamav/clamd.ctl",
          help: "clamd's Unix socket",
        },
        clamdConfig: CLAMD_CONFIG,
        scanConcurrency: {
          kind: "number",
          value: "N",
          min: 1,
          max: 64,
          help: "scans in flight [default: as many as clamd has threads]",
        },
      },
    },
    verify: {
      summary: "check the configuration and the directories, and change nothing",
      options: {
        config: CONFIG,
        verbose: {
          kind: "flag",
          short: "v",
          help: "also show every channel as it would run",
        },
        offline: {
          kind: "flag",
          help: "check the text alone, not the file system (for builds)",
        },
        clamdConfig: CLAMD_CONFIG,
        debug: DEBUG,
      },
    },
  },
});
