/** `run`: serves all channels until it is asked to stop. */

import { displayText } from "../../ffi/byte_string.ts";
import { monotonicUsec, pause } from "../../ffi/clock.ts";
import { messageOf } from "../../ffi/errno.ts";
import { defaultSignal, holdSignal, SIGHUP, SIGINT, SIGTERM } from "../../ffi/process.ts";
import { Reactor } from "../../ffi/reactor.ts";
import { sendDatagram } from "../../ffi/socket.ts";
import { unblockedStandardError } from "../../ffi/standard_error.ts";
import { exitCode } from "../command_line/exit_codes.ts";
import type { Invocation } from "../command_line/definition.ts";
import { collectWhileIdle } from "../daemon/idle_collection.ts";
import { configureLogging, type Logger, logger, type Logging } from "../logging/logging.ts";
import { ClamdScanner } from "../scanning/clamd.ts";
import { readClamdLimits } from "../scanning/clamd_configuration.ts";
import { NoScanner } from "../scanning/no_scanner.ts";
import type { Scanner } from "../scanning/scanner.ts";
import { Scheduler } from "../scheduling/scheduler.ts";
import { readServiceEnvironment } from "../service_manager/environment.ts";
import { revokeAllPermissions } from "../service_manager/permissions.ts";
import { ReloadRequests } from "../service_manager/reload_requests.ts";
import { ServiceManager } from "../service_manager/service_manager.ts";
import { stopSignal } from "../service_manager/stop_signal.ts";
import { Channel } from "./channel.ts";
import type { ChannelConfig } from "./config/channel_config.ts";
import { parseConfiguration } from "./config/configuration.ts";
import { formatFault } from "./config/fault.ts";
import { readConfiguration } from "./config/file.ts";
import { GuestNotifier } from "./guest_notifier.ts";
import { instanceShortage } from "./inotify_instances.ts";
import { InUse, LayoutFault } from "./layout_fault.ts";
import type { GATE } from "./options.ts";
import { realPlaces } from "./real_places.ts";
import { scannerWarnings } from "./scanner_warnings.ts";
import { serve } from "./serve.ts";
import { ServedBefore } from "./served_before.ts";
import { handedOver, startAnew } from "./start_anew.ts";

export type RunOptions = Extract<Invocation<typeof GATE>, { command: "run" }>["options"];

/** What may still be finished after a stop signal. */
const LAST_WORDS_MS = 5000;
/** For guests to hear of the last changes. */
const LAST_NOTIFICATIONS_MS = 1000;
/** For the disks, so that the next start of the machine finds everything as it was left. */
const FLUSH_MS = 5000;
/**
 * Files that are begun at once, whatever the scanner could take: quick scans need the processor, so that more of
 * them are done no sooner, and everybody's next file waits for all that were begun before it (I7).
 */
const MOST_QUICK = Math.max(4, 2 * navigator.hardwareConcurrency);
const PROGRESS_EVERY_MS = 2000;
/** A daemon that was killed may still be ending: its last clone, say, is being written. */
const PREDECESSOR_MS = 5000;
const LOOK_AGAIN_MS = 100;
/** How long a signal may be on its way from the kernel to its listener. */
const SIGNALS_ARRIVE_MS = 50;
/** A large tree may take its time, as long as it gets on. */
const EXTENSION_MS = 60_000;

/** Serves until SIGTERM or SIGINT; the exit code. On SIGHUP it starts anew, with the changed configuration. */
export async function run(options: RunOptions): Promise<number> {
  const logging = configureLogging({ debug: options.debug, stream: unblockedStandardError() });
  try {
    return await serveLogged(options, logging);
  } finally {
    logging.flush();
  }
}

async function serveLogged(options: RunOptions, logging: Logging): Promise<number> {
  const log = logger("gate");
  // First of all: until then it would end the process.
  const reloads = new ReloadRequests();
  const stopping = stopSignal({ signals: ["SIGTERM", "SIGINT"] });
  const manager = new ServiceManager({
    environment: readServiceEnvironment(),
    send: sendDatagram,
    monotonicUsec,
    onFailure: (error) => log.warn("the service manager cannot be told: {error}", { error }),
  });
  // From the very beginning: after a reload the service manager goes on waiting for them.
  using _watchdog = manager.startWatchdog();
  using _collection = collectWhileIdle();
  const configs = readChannels(options, log);
  if (configs.length === 0) {
    log.fatal("no channel can run: see the faults above, or try 'verify --config {config}'", {
      config: displayText(options.config),
    });
    return exitCode("failure");
  }
  const reactor = new Reactor();
  const scanner = chooseScanner(options, configs, reactor, log);
  // Not waited for: a clamd that hangs keeps nobody from watching.
  tellOfScanner(scanner, configs, log);
  const scheduler = new Scheduler({
    places: () => scanner.concurrency,
    quick: () => options.scanConcurrency ?? MOST_QUICK,
  });
  const { served, untold } = handedOver();
  const before = new ServedBefore(log, served);
  const guests = new GuestNotifier(reactor, configs, log);
  // Another daemon may take its time to let go of a channel.
  const opened = await Promise.race([
    Promise.all(
      configs.map((config) =>
        openChannel({ config, reactor, scheduler, scanner }, before, guests, log)
      ),
    ),
    stopping.then(() => undefined),
  ]);
  if (opened === undefined) {
    manager.stopping("not started yet");
    log.info("stopping");
    return exitCode("ok");
  }
  const channels = opened.filter((channel) => channel !== undefined);
  if (channels.length + before.waiting.length === 0) {
    log.fatal("no channel can run: see the faults above");
    return exitCode("failure");
  }
  for (const channel of [...untold, ...cutOff(channels, served)]) guests.notify(channel);
  // Configuration and indexes are open; nothing of a guest's was looked at yet.
  revokeAllPermissions();

  const serving = await Promise.race([
    startAll(channels, before, manager, log),
    stopping.then(() => undefined),
  ]);
  const { waiting } = before;
  if (serving !== undefined && serving.length + waiting.length === 0) {
    log.fatal("no channel can run: see the faults above");
    return exitCode("failure");
  }
  const shortage = serving && instanceShortage(configs);
  if (shortage !== undefined) log.warn("{shortage}", { shortage });
  let stopped = false;
  stopping.then(() => stopped = true);
  const anew = serving === undefined ? undefined : await serve({
    config: options.config,
    channels: serving,
    waiting,
    manager,
    stopping,
    reloads,
    log,
  });

  if (anew === undefined) manager.stopping("finishing what is in flight");
  log.info(anew === undefined ? "stopping" : "starting anew with the configuration as it is now");
  const readings = channels.map((channel) => channel.stop());
  await Promise.race([scheduler.stop(), pause(LAST_WORDS_MS)]);
  await Promise.all(readings);
  await guests.finish(LAST_NOTIFICATIONS_MS);
  guests.close();
  if (anew === undefined) {
    await Promise.race([Promise.all(channels.map((channel) => channel.flush())), pause(FLUSH_MS)]);
  }
  if (anew !== undefined) {
    // A request to stop may be on its way to our listener; one that comes from here on ends the process by itself.
    for (const signal of [SIGTERM, SIGINT]) defaultSignal(signal);
    await pause(SIGNALS_ARRIVE_MS);
  }
  // From here on nothing gets a turn of the event loop: a job that still waits, for the scanner say, is cut off as by a
  // crash. It is not to take our end for a scan's, tell the user so, and act on it.
  for (const channel of channels) channel.close({ processEnds: true });
  if (anew !== undefined && !stopped) {
    logging.flush();
    // The watchdog, too, waits for as long: nobody gives signs of life until the new program runs.
    manager.extendTimeout(EXTENSION_MS, "starting anew");
    holdSignal(SIGHUP);
    const running = (serving ?? []).map(({ config }) => config.name);
    const { message } = startAnew(anew, {
      served: [...running, ...waiting.map(({ name }) => name)],
      untold: guests.untold,
    });
    log.fatal("cannot start anew: {reason}", { reason: message });
  }
  return exitCode(stopped ? "ok" : "internal");
}

/** The channels that can run; what is wrong with the others is logged. */
function readChannels(options: RunOptions, log: Logger): readonly ChannelConfig[] {
  const text = readConfiguration(options.config);
  if ("problem" in text) {
    log.fatal("{problem}", { problem: text.problem });
    return [];
  }
  const written = parseConfiguration(text.text, { unknownKeys: "warning" });
  const placed = realPlaces(written.channels);
  const { channels } = placed;
  const faults = [...written.faults, ...placed.faults];
  for (const fault of faults) log.error("{fault}", { fault: formatFault(fault) });
  for (const warning of written.warnings) log.warn("{warning}", { warning: formatFault(warning) });
  const skipped = new Set(faults.map(({ channel }) => channel));
  for (const { name } of channels) skipped.delete(name);
  for (const channel of skipped) {
    if (channel === undefined) continue;
    log.error("channel {channel} is skipped", { channel: displayText(channel) });
  }
  if (!options.noScan) return channels;
  log.warn("NOTHING IS SCANNED (--no-scan): every file counts as clean and travels");
  return channels.map((config) => ({ ...config, scanning: { ...config.scanning, enable: false } }));
}

function chooseScanner(
  options: RunOptions,
  configs: readonly ChannelConfig[],
  reactor: Reactor,
  log: Logger,
): Scanner {
  if (!configs.some(({ scanning }) => scanning.enable)) return new NoScanner();
  const { clamdSocket, clamdConfig, scanConcurrency } = options;
  const limits = readClamdLimits(clamdConfig);
  for (const warning of scannerWarnings(configs, limits, clamdConfig)) {
    log.warn("{warning}", { warning: formatFault(warning) });
  }
  const scanner = new ClamdScanner({
    reactor,
    socket: clamdSocket,
    ...(scanConcurrency === undefined ? {} : { concurrency: scanConcurrency }),
    ...(limits === undefined ? {} : { limits }),
    onTrouble: (message) => log.warn("clamd: {message}", { message }),
  });
  return scanner;
}

/** Says what scans, and where nothing does. */
async function tellOfScanner(
  scanner: Scanner,
  configs: readonly ChannelConfig[],
  log: Logger,
): Promise<void> {
  for (const { name, scanning } of configs) {
    if (scanning.enable) continue;
    log.warn("{channel}: scanning is off: every file counts as clean and travels", {
      channel: displayText(name),
    });
  }
  if (scanner instanceof NoScanner) return;
  const answer = await scanner.check();
  if (answer.available) {
    log.info("scanning with {version}", { version: answer.version });
  } else {
    log.warn("clamd does not answer ({reason}): strict channels hold files until it does", {
      reason: answer.reason,
    });
  }
}

/** `undefined` where it cannot run for now, or at all; the reason is logged. */
async function openChannel(
  parts: {
    readonly config: ChannelConfig;
    readonly reactor: Reactor;
    readonly scheduler: Scheduler;
    readonly scanner: Scanner;
  },
  before: ServedBefore,
  guests: GuestNotifier,
  log: Logger,
): Promise<Channel | undefined> {
  const { config } = parts;
  const giveUpAt = performance.now() + PREDECESSOR_MS;
  try {
    before.check(config);
    for (;;) {
      try {
        return new Channel({ ...parts, log, onChange: () => guests.notify(config.name) });
      } catch (error) {
        if (!(error instanceof InUse) || performance.now() > giveUpAt) throw error;
        await pause(LOOK_AGAIN_MS);
      }
    }
  } catch (error) {
    if (before.waits(config, error, { isOpen: false })) return undefined;
    const reason = messageOf(error);
    const fault = error instanceof LayoutFault ? reason : `unexpected: ${reason}`;
    log.error("channel {channel} is skipped: {fault}", {
      channel: displayText(config.name),
      fault,
    });
    return undefined;
  }
}

/** The channels with changes that guests may not have been told of: a crash, unlike a start anew, hands nothing over. */
function cutOff(channels: readonly Channel[], served: readonly string[]): readonly string[] {
  return channels.filter(({ config: { name }, wasCutOff }) => wasCutOff && !served.includes(name))
    .map(({ config }) => config.name);
}

/** Those that could be started. */
async function startAll(
  channels: readonly Channel[],
  before: ServedBefore,
  manager: ServiceManager,
  log: Logger,
): Promise<readonly Channel[]> {
  let saidAt = 0;
  const started = await Promise.all(channels.map(async (channel) => {
    const name = displayText(channel.config.name);
    try {
      await channel.start((status) => {
        if (performance.now() - saidAt < PROGRESS_EVERY_MS) return;
        saidAt = performance.now();
        manager.extendTimeout(EXTENSION_MS, `${name}: ${status}`);
        log.info("{channel}: {status}", { channel: name, status });
      });
      return [channel];
    } catch (error) {
      channel.stop();
      if (before.waits(channel.config, error, { isOpen: true })) return [];
      const reason = messageOf(error);
      log.error("channel {channel} is skipped: {reason}", { channel: name, reason });
      return [];
    }
  }));
  return started.flat();
}
