/** The command line of `clamd-vproxy`. */

import { displayText } from "../../ffi/byte_string.ts";
import { defineProgram, type OptionValues } from "../command_line/definition.ts";

const MIB = 1024 ** 2;
const GIB = 1024 ** 3;

const seconds = (value: number, help: string) =>
  ({ kind: "number", value: "SECONDS", min: 1, max: 86_400, default: value, help }) as const;

export const VPROXY = defineProgram({
  name: "clamd-vproxy",
  summary: "let guests scan with the host's clamd, and do nothing else with it",
  options: {
    cid: {
      kind: "number",
      short: "c",
      value: "CID",
      min: 0,
      max: 4_294_967_295,
      help: "vsock CID to listen as: 2 is the host, 4294967295 is any [default: 2; with --uds no " +
        "vsock unless it is given]",
    },
    port: {
      kind: "number",
      short: "p",
      value: "PORT",
      min: 1,
      max: 4_294_967_294,
      default: 3400,
      help: "vsock port to listen on",
    },
    uds: {
      kind: "text",
      value: "PATH",
      repeatable: true,
      help: "listen on the Unix socket PATH_PORT, where guests of Firecracker and " +
        "cloud-hypervisor arrive, instead of vsock; one option a guest",
    },
    clamd: {
      kind: "socket",
      short: "C",
      value: "PATH",
      default: "/run/clamav/clamd.ctl",
      help: "clamd's Unix socket",
    },
    maxConnections: {
      kind: "number",
      value: "N",
      min: 1,
      max: 1000,
      default: 10,
      help: "connections of all guests that are served at once",
    },
    maxConnectionsPerGuest: {
      kind: "number",
      value: "N",
      min: 1,
      max: 1000,
      default: 4,
      help:
        "connections of one guest that are served at once; with more than its --scan-concurrency " +
        "slow files cannot hold all of them",
    },
    maxStreamSize: {
      kind: "bytes",
      value: "BYTES",
      min: 1,
      max: 1024 * GIB,
      default: 2 * GIB,
      help: "content of one INSTREAM",
    },
    maxChunkSize: {
      kind: "bytes",
      value: "BYTES",
      min: 1,
      max: 4 * GIB - 1,
      default: 25 * MIB,
      help: "one chunk of an INSTREAM",
    },
    commandTimeoutSecs: seconds(30, "time for a guest to send its command"),
    readTimeoutSecs: seconds(60, "time between two reads from a guest"),
    streamTimeoutSecs: seconds(120, "time for a whole INSTREAM, clamd's verdict included"),
    debug: { kind: "flag", short: "d", help: "log debug messages too" },
  },
});

export type VproxyOptions = OptionValues<typeof VPROXY["options"]>;

/** What is wrong with the options taken together; `undefined` if nothing is. */
export function usageProblem({ uds }: VproxyOptions): string | undefined {
  const twice = uds.find((path, index) => uds.indexOf(path) < index);
  return twice === undefined
    ? undefined
    : `--uds ${displayText(twice)} is given twice: one option a guest`;
}
