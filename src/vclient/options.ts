/** The command line of `clamd-vclient`. */

import { defineProgram, type OptionValues } from "../command_line/definition.ts";

export const VCLIENT = defineProgram({
  name: "clamd-vclient",
  summary: "scan files in this machine as they are written, with a clamd elsewhere",
  options: {
    watch: {
      kind: "text",
      short: "w",
      value: "DIRECTORY",
      repeatable: true,
      required: true,
      help: "directory to monitor, with everything below it but other file systems",
    },
    exclude: {
      kind: "text",
      short: "e",
      value: "DIRECTORY",
      repeatable: true,
      help: "directory that is not monitored, with everything below it",
    },
    cid: {
      kind: "number",
      short: "c",
      value: "CID",
      min: 0,
      max: 4_294_967_295,
      default: 2,
      help: "vsock CID of the machine where clamd-vproxy runs; 2 is the host",
    },
    port: {
      kind: "number",
      short: "p",
      value: "PORT",
      min: 1,
      max: 4_294_967_294,
      default: 3400,
      help: "vsock port of clamd-vproxy",
    },
    uds: {
      kind: "text",
      value: "PATH",
      help: "reach clamd-vproxy through the Unix socket PATH_PORT instead of vsock",
    },
    socket: {
      kind: "flag",
      short: "s",
      help: "use a clamd in this machine, through its Unix socket, instead of vsock",
    },
    clamdSocket: {
      kind: "socket",
      value: "PATH",
      default: "/var/run/clamav/clamd.ctl",
      help: "clamd's Unix socket, with --socket",
    },
    action: {
      kind: "choice",
      short: "a",
      value: "ACTION",
      choices: ["log", "delete", "quarantine"],
      default: "delete",
      help: "what becomes of infected files",
    },
    quarantineDir: {
      kind: "text",
      value: "DIRECTORY",
      help: "where infected files are kept, with --action quarantine; made if it is missing",
    },
    notifySocket: {
      kind: "socket",
      value: "PATH",
      default: "/run/clamav/notify.sock",
      help: "Unix socket where the user is told of infected files and failed scans",
    },
    scanConcurrency: {
      kind: "number",
      value: "N",
      min: 1,
      max: 64,
      default: 4,
      help:
        "scans in flight; with fewer than --max-connections-per-guest of clamd-vproxy slow files " +
        "cannot hold all places there",
    },
    scanExisting: {
      kind: "flag",
      help: "also scan what is in the directories when the daemon starts",
    },
    wait: {
      kind: "flag",
      help: "wait for a scanner at startup instead of refusing to start",
    },
    debug: { kind: "flag", short: "d", help: "log debug messages too" },
  },
});

export type VclientOptions = OptionValues<typeof VCLIENT["options"]>;

export type InfectedAction = VclientOptions["action"];

/** What is wrong with the options taken together; `undefined` if nothing is. */
export function usageProblem(options: VclientOptions): string | undefined {
  if (options.action === "quarantine" && options.quarantineDir === undefined) {
    return "--action quarantine needs --quarantine-dir DIRECTORY";
  }
  if (options.socket && options.uds !== undefined) {
    return "--socket is a clamd in this machine, --uds a proxy: give one of them";
  }
  return undefined;
}
