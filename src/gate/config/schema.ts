/**
 * The configuration as people write it: the one source of what is accepted, of the messages for
 * what is not, and of the JSON Schema for editors. Both vocabularies in use are here; what they
 * mean together is for `normal_form.ts`.
 */

import { z } from "zod";
import { fileName } from "../../../ffi/byte_string.ts";
import { LONGEST_SOCKET_PATH } from "../../../ffi/platform.ts";
import { alternatives, describeValue, quote } from "./fault.ts";
import { patternFault } from "../ignore_patterns.ts";

/** What a field has that is not written. */
export const DEFAULTS = {
  debounceMs: 1000,
  conflictCopies: true,
  scanning: { enable: true, infectedAction: "delete", permissive: false, oversize: "hold" },
  userNotify: { enable: true, socket: "/run/clamav/notify.sock" },
  guestNotify: { port: 3401 },
} as const;

/** Longer waits are taken for a slip in the unit. */
const LONGEST_DEBOUNCE_MS = 3_600_000;
/** 0xffffffff stands for "any" in vsock(7), as a CID and as a port. */
const LARGEST_VSOCK_NUMBER = 2 ** 32 - 2;

const bytesOf = (text: string) => new TextEncoder().encode(text).length;

/** Every wrong type and every missing field is explained by what belongs there. */
function expecting(what: string) {
  return {
    error: ({ input }: { readonly input?: unknown }) =>
      input === undefined
        ? `is missing: ${what} belongs here`
        : `expected ${what}, got ${describeValue(input)}`,
  };
}

/** Adds a check that says itself what is wrong. */
function checked<S extends z.ZodType>(
  schema: S,
  faultOf: (value: z.output<S>) => string | undefined,
) {
  return schema.superRefine((value, context) => {
    const message = faultOf(value);
    if (message !== undefined) context.addIssue({ code: "custom", message });
  });
}

function textFault(text: string): string | undefined {
  if (!text.isWellFormed()) return `${quote(text)} is not valid Unicode`;
  if (/\p{Cc}/u.test(text)) return `${quote(text)} holds a control character`;
  return undefined;
}

function pathFault(text: string): string | undefined {
  if (!text.startsWith("/")) return `expected an absolute path, got ${describeValue(text)}`;
  if (text.split("/").includes("..")) return `${quote(text)} holds ".."; write the path without it`;
  return textFault(text);
}

function basePathFault(text: string): string | undefined {
  if (/^[/.]*$/.test(text) && text.startsWith("/")) return "the root directory cannot be a channel";
  return pathFault(text);
}

function socketFault(text: string): string | undefined {
  if (bytesOf(text) > LONGEST_SOCKET_PATH) {
    return `${quote(text)} is too long for a socket (at most ${LONGEST_SOCKET_PATH} bytes)`;
  }
  return text.endsWith("/") ? `${quote(text)} names a directory` : pathFault(text);
}

/** A VM's name is the name of its directory below share/. */
function vmNameFault(text: string): string | undefined {
  if (text === "") return "a VM's name is empty";
  if (text.includes("/")) return `${quote(text)} holds "/", which no name of a directory can`;
  const problem = textFault(text);
  if (problem !== undefined) return problem;
  try {
    fileName(text);
    return undefined;
  } catch {
    return text.length > 2
      ? `${quote(text)} is longer than 255 bytes`
      : `${quote(text)} is no name for a directory`;
  }
}

function duplicateFault(names: readonly string[]): string | undefined {
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  return twice === undefined ? undefined : `${quote(twice)} is listed twice`;
}

/**
 * Guests have CIDs from 3: 0 is the hypervisor, 2 the host. 1 is the machine itself, which notifies
 * nobody but stands in for a guest where all runs on one machine (vsock loopback).
 */
function cidFault(cid: number): string | undefined {
  if (cid === 1 || (cid >= 3 && cid <= LARGEST_VSOCK_NUMBER)) return undefined;
  if (cid === 2) return "CID 2 is the host, not a guest";
  return `${cid} is no guest's CID (3 to ${LARGEST_VSOCK_NUMBER})`;
}

function wholeNumber(what: string, min: number, max: number) {
  return z.int(expecting(`${what} from ${min} to ${max}`))
    .min(min, expecting(`${what} from ${min} to ${max}`))
    .max(max, expecting(`${what} from ${min} to ${max}`));
}

function choice<const T extends readonly [string, ...string[]]>(words: T) {
  return z.enum(words, expecting(alternatives(words.map((word) => `"${word}"`))));
}

const yesOrNo = z.boolean(expecting("true or false"));
const vmName = checked(z.string(expecting("a VM's name")), vmNameFault);
const vmNames = checked(z.array(vmName, expecting("a list of VM names")), duplicateFault);
const socketPath = checked(z.string(expecting("the absolute path of a socket")), socketFault)
  .meta({ pattern: "^/" });
const vsockPort = wholeNumber("a vsock port", 1, LARGEST_VSOCK_NUMBER)
  .meta({ description: "vsock port in the guests", default: DEFAULTS.guestNotify.port });

function patterns(over: "name" | "path") {
  const pattern = checked(
    z.string(expecting("a pattern")),
    (text) => textFault(text) ?? patternFault(text, over),
  );
  return z.array(pattern, expecting("a list of patterns"));
}

const GUEST = "a CID (a number) or the absolute path of a hybrid-vsock socket";
const guest = z.union(
  [
    checked(z.int(), cidFault),
    checked(z.string(), guestTextFault).meta({ pattern: "^/" }),
  ],
  expecting(GUEST),
);

/** A VM's name, or a CID in quotes, is no slip in a path. */
function guestTextFault(text: string): string | undefined {
  return text.startsWith("/") ? socketFault(text) : `expected ${GUEST}, got ${describeValue(text)}`;
}

const GUEST_NOTIFY = z.strictObject({
  guests: z.array(guest, expecting("a list of CIDs")).optional()
    .meta({ description: "guests to tell of changes: CIDs, or hybrid-vsock sockets", default: [] }),
  port: vsockPort.optional(),
}, expecting("an object with guests and port"));

const USER_NOTIFY = z.strictObject({
  enable: yesOrNo.optional()
    .meta({ description: "tell the user of infected files", default: DEFAULTS.userNotify.enable }),
  socket: socketPath.optional()
    .meta({ description: "where messages to the user go", default: DEFAULTS.userNotify.socket }),
}, expecting("an object with enable and socket"));

const SCANNING = z.strictObject({
  enable: yesOrNo.optional()
    .meta({ description: "false: everything counts as clean", default: DEFAULTS.scanning.enable }),
  infectedAction: choice(["log", "delete", "quarantine"]).optional().meta({
    description: "what happens to an infected file in its author's share",
    default: DEFAULTS.scanning.infectedAction,
  }),
  permissive: yesOrNo.optional().meta({
    description: "files whose scan failed travel unscanned",
    default: DEFAULTS.scanning.permissive,
  }),
  ignoreFilePatterns: patterns("name").optional().meta({
    description: "file names left alone: text anywhere in the name, or a glob over all of it",
    default: [],
  }),
  ignorePathPatterns: patterns("path").optional().meta({
    description: "paths left alone: text anywhere in the path, or a glob over all of it",
    default: [],
  }),
  oversize: choice(["hold", "allow"]).optional().meta({
    description: "files that are too large to be scanned",
    default: DEFAULTS.scanning.oversize,
  }),
  maxFileSize: wholeNumber("a whole number of bytes", 1, Number.MAX_SAFE_INTEGER).nullish().meta({
    description: "bytes up to which files can be scanned; found out from clamd if not given",
  }),
  notifySocket: socketPath.optional().meta({
    description: "the same as userNotify.socket",
    default: DEFAULTS.userNotify.socket,
  }),
}, expecting("an object with the scanning options"));

/** One channel, unknown keys refused (they are taken out before, see `unknown_keys.ts`). */
export const CHANNEL = z.strictObject({
  basePath: checked(z.string(expecting("the channel's directory")), basePathFault)
    .meta({ description: "the channel's directory, absolute", pattern: "^/" }),
  producers: vmNames.min(1, { error: "is empty: a channel needs a VM that can write to it" })
    .describe("VMs with a read-write share, by the names of their directories in share/"),
  diodeProducers: vmNames.optional()
    .meta({ description: "producers that give and never receive", default: [] }),
  consumers: vmNames.optional()
    .meta({ description: "VMs that read export/", default: [] }),
  debounceMs: wholeNumber("a whole number of milliseconds", 0, LONGEST_DEBOUNCE_MS).optional().meta(
    {
      description: "milliseconds of quiet before a changed file is looked at",
      default: DEFAULTS.debounceMs,
    },
  ),
  conflictCopies: yesOrNo.optional().meta({
    description: "keep the loser of a conflict beside the winner",
    default: DEFAULTS.conflictCopies,
  }),
  scanning: SCANNING.optional(),
  userNotify: USER_NOTIFY.optional(),
  guestNotify: GUEST_NOTIFY.nullish(),
  notify: GUEST_NOTIFY.nullish().describe("the same as guestNotify"),
  mode: z.string(expecting("a text")).optional()
    .describe("written by other tools; without effect, scanning.enable decides"),
}, expecting("an object with the channel's options"));

/** The objects inside a channel, by their keys. */
export const SECTIONS = {
  scanning: SCANNING,
  userNotify: USER_NOTIFY,
  guestNotify: GUEST_NOTIFY,
  notify: GUEST_NOTIFY,
} as const;

/** A channel as written, of the right types. */
export type WrittenChannel = z.output<typeof CHANNEL>;

/** The whole document, for the JSON Schema; `parseConfiguration` reads channel by channel. */
export const DOCUMENT = z.object({
  $schema: z.string().optional().describe("where this schema is; for editors only"),
}).catchall(CHANNEL).meta({
  title: "virtiofs-gate channels",
  description: "Every key is a channel's name, known to guests in notifications.",
});
