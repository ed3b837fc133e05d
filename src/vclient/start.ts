/** From options to a client that serves: everything that can be wrong is found, and said, before it is ready. */

import { type ByteString, display, fromText } from "../../ffi/byte_string.ts";
import { pause } from "../../ffi/clock.ts";
import { isErrno, SystemError } from "../../ffi/errno.ts";
import { isReadOnly } from "../../ffi/filesystem_status.ts";
import type { Reactor } from "../../ffi/reactor.ts";
import { type Address, showAddress } from "../../ffi/socket.ts";
import { type Begun, type Service, StartFailure, type StillStarting } from "../daemon/daemon.ts";
import { IN_A_SERVICE, openCanonical, placeOf, readableDirectory } from "../daemon/trusted_path.ts";
import type { Logger } from "../logging/logging.ts";
import { RepeatLimit } from "../logging/repeat_limit.ts";
import type { Scanner } from "../scanning/scanner.ts";
import { SocketScanner } from "../scanning/socket_scanner.ts";
import { StreamScanner } from "../scanning/stream_scanner.ts";
import type { ScannerAddress } from "../scanning/trouble.ts";
import { hostSideAddress } from "../transport/hybrid_vsock.ts";
import { UserNotifier } from "../user_notification/user_notifier.ts";
import { Client } from "./client.ts";
import { deleting, type Disposal, leaving, quarantining } from "./disposal.ts";
import { VCLIENT, type VclientOptions } from "./options.ts";
import { Quarantine } from "./quarantine.ts";
import { type PlannedTree, planTrees } from "./watched_places.ts";

const STARTING_EVERY_MS = 2_000;
/** Until a scanner is asked again that could not be. */
const UNASKED_MS = 1_000;

export async function startClient(
  options: VclientOptions,
  reactor: Reactor,
  log: Logger,
  stillStarting: StillStarting,
  begun: Begun,
): Promise<Service> {
  const onTrouble = (message: string) => log.warn("{message}", { message });
  if (!options.socket && options.clamdSocket !== VCLIENT.options.clamdSocket.default) {
    log.warn("--clamd-socket changes nothing without --socket");
  }
  if (options.action !== "quarantine" && options.quarantineDir !== undefined) {
    log.warn("--quarantine-dir changes nothing without --action quarantine");
  }
  const quarantine = openQuarantine(options, onTrouble);
  const unfinished = quarantine?.recover() ?? [];
  const trees = findTrees(options, quarantine, log);
  let isAsked = false;
  const scanner = chooseScanner(options, reactor, (message) => {
    if (isAsked) onTrouble(message); // until then the answer tells it
  });
  const scannerAnswers = await askScanner(scanner, options, log);
  isAsked = true;
  const client = new Client({
    trees,
    scanner,
    disposal: chooseDisposal(options, quarantine, onTrouble),
    user: newNotifier(options, reactor, onTrouble),
    reactor,
    log,
    unfinished,
    // When this process began: nobody who starts it and goes on to write has to wait for it.
    newSinceNs: BigInt(Math.floor(performance.timeOrigin)) * 1_000_000n,
  });
  begun(client);
  if (!scannerAnswers) client.pause();
  await becomeReady(client, log, stillStarting);
  if (options.scanExisting) client.scanExisting();
  return client;
}

async function becomeReady(
  client: Client,
  log: Logger,
  stillStarting: StillStarting,
): Promise<void> {
  let doing = "setting watches";
  const telling = setInterval(() => stillStarting(doing), STARTING_EVERY_MS);
  try {
    await client.start((directories) => doing = `setting watches, ${directories} so far`);
    doing = "waiting for a scanner";
    stillStarting(doing);
    await client.scannerAnswers();
  } finally {
    clearInterval(telling);
  }
  log.debug("all watches are set, and the scanner answers");
}

function openQuarantine(
  { action, quarantineDir }: VclientOptions,
  onStray: (message: string) => void,
): Quarantine | undefined {
  if (action !== "quarantine" || quarantineDir === undefined) return undefined;
  try {
    return Quarantine.open(placeOf("--quarantine-dir", quarantineDir), onStray);
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    const shown = display(fromText(quarantineDir));
    const advice = isErrno(error, "EROFS", "ENOENT") ? `; ${IN_A_SERVICE}` : "";
    throw new StartFailure(`--quarantine-dir ${shown} cannot be used: ${error.message}${advice}`);
  }
}

function findTrees(
  options: VclientOptions,
  quarantine: Quarantine | undefined,
  log: Logger,
): readonly PlannedTree[] {
  const watched = options.watch.map((path) => readableDirectory("--watch", path));
  const excluded = options.exclude.map((path) => placeOf("--exclude", path));
  // What lies in quarantine is known to be infected.
  const own = quarantine === undefined ? [] : [quarantine.path];
  const plan = planTrees(watched, [...excluded, ...own]);
  const [contradiction] = plan.contradictions;
  if (contradiction !== undefined) {
    const other = own.includes(contradiction) ? "the quarantine" : "excluded";
    throw new StartFailure(`${display(contradiction)} is to be watched, and is ${other} too`);
  }
  for (const path of plan.idleExcludes) {
    if (own.includes(path)) continue;
    log.warn("--exclude {path} lies in no watched directory: it changes nothing", {
      path: display(path),
    });
  }
  if (options.action !== "log") warnOfReadOnly(watched, log);
  for (const { path } of plan.trees) log.debug("watching {path}", { path: display(path) });
  return plan.trees;
}

/** Else it would be found out when there is malware. */
function warnOfReadOnly(watched: readonly ByteString[], log: Logger): void {
  for (const path of watched) {
    using directory = openCanonical(path); // or it went away since: that is met when it is watched
    if (directory === undefined || !isReadOnly(directory)) continue;
    log.warn("--watch {path} is read-only: malware is told, but cannot be removed; {advice}", {
      path: display(path),
      advice: IN_A_SERVICE,
    });
  }
}

function chooseScanner(
  options: VclientOptions,
  reactor: Reactor,
  onTrouble: (message: string) => void,
): Scanner {
  const concurrency = options.scanConcurrency;
  if (options.socket) {
    return new SocketScanner({ reactor, socket: options.clamdSocket, concurrency, onTrouble });
  }
  return new StreamScanner({ reactor, address: proxyAddress(options), concurrency, onTrouble });
}

function proxyAddress({ uds, cid, port }: VclientOptions): ScannerAddress {
  const address: Address = uds === undefined
    ? { family: "vsock", cid, port }
    : hostSideAddress(uds, port);
  return { ...address, isProxy: true };
}

/** `false` if none answers, and that is to be waited for. */
async function askScanner(
  scanner: Scanner,
  options: VclientOptions,
  log: Logger,
): Promise<boolean> {
  for (;;) {
    const answer = await scanner.check();
    if (answer.available) {
      log.info("scanning with {version}", { version: answer.version });
      return true;
    }
    const { reason } = answer;
    if (!options.wait) throw new StartFailure(`no scanner answers (${reason}). ${advice(options)}`);
    log.warn("waiting for a scanner ({reason})", { reason });
    if (scanner.isDown) return false;
    await pause(UNASKED_MS); // it could not even be asked
  }
}

function advice(options: VclientOptions): string {
  const orWait = "or give --wait to wait for it";
  if (options.socket) {
    return `Start clamd, or give its socket with --clamd-socket PATH, ${orWait}`;
  }
  const address = display(showAddress(proxyAddress(options)));
  return options.uds === undefined
    ? `Start clamd-vproxy on the host so that it listens at ${address}, give this machine a vsock ` +
      `device, use a clamd in this machine with --socket, ${orWait}`
    : `Start clamd-vproxy so that it listens at ${address}, ${orWait}`;
}

function chooseDisposal(
  { action }: VclientOptions,
  quarantine: Quarantine | undefined,
  onStray: (message: string) => void,
): Disposal {
  if (quarantine !== undefined) return quarantining(quarantine);
  return action === "log" ? leaving : deleting(onStray);
}

/** The user is told where somebody listens; the log says, now and then, that nobody does. */
function newNotifier(
  { notifySocket }: VclientOptions,
  reactor: Reactor,
  onTrouble: (message: string) => void,
): UserNotifier {
  const repeats = new RepeatLimit();
  const tell = (message: string) => {
    if (repeats.admits(message)) onTrouble(message);
  };
  return new UserNotifier(reactor, notifySocket, tell, tell);
}
