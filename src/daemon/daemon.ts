/** The life of a daemon that keeps no state: start, say so, give up permissions, serve, stop on request. */

import { monotonicUsec } from "../../ffi/clock.ts";
import { outliveFileSizeLimit } from "../../ffi/process.ts";
import { Reactor, type ReactorOptions } from "../../ffi/reactor.ts";
import { sendDatagram } from "../../ffi/socket.ts";
import { unblockedStandardError } from "../../ffi/standard_error.ts";
import { exitCode } from "../command_line/exit_codes.ts";
import { configureLogging, type Logger, logger } from "../logging/logging.ts";
import { readServiceEnvironment } from "../service_manager/environment.ts";
import { revokeAllPermissions } from "../service_manager/permissions.ts";
import { ServiceManager } from "../service_manager/service_manager.ts";
import { stopSignal } from "../service_manager/stop_signal.ts";
import { collectWhileIdle } from "./idle_collection.ts";

/** Why a daemon cannot start, in words for whoever can change it. */
export class StartFailure extends Error {
  override readonly name = "StartFailure";
}

/** What serves until it is disposed. */
export interface Service extends Disposable {
  /** What it serves, in one line: for the log and the service manager. May change. */
  readonly status: string;
  /** Begins nothing more, and settles when what is in flight has ended. */
  finish?(): Promise<void>;
}

/** Tells the service manager that starting takes its time, and why. To be called now and then. */
export type StillStarting = (status: string) => void;

/** Takes what works already before it is ready: a stop ends that, too. */
export type Begun = (service: Service) => void;

export interface DaemonOptions {
  /** The first part of its log category. */
  readonly name: string;
  readonly debug: boolean;
  readonly reactor?: ReactorOptions;
  /** Throws a StartFailure where somebody can do something about it. */
  readonly start: (
    reactor: Reactor,
    log: Logger,
    stillStarting: StillStarting,
    begun: Begun,
  ) => Promise<Service> | Service;
}

const STATUS_EVERY_MS = 10_000;
const EXTENSION_MS = 60_000;
/** What may still be finished after a stop signal. */
const LAST_WORDS_MS = 3_000;

/** Serves until SIGTERM, SIGINT or SIGHUP; the exit code. */
export async function runDaemon(options: DaemonOptions): Promise<number> {
  const { name, debug, start } = options;
  outliveFileSizeLimit();
  const logging = configureLogging({ debug, stream: unblockedStandardError() });
  const log = logger(name);
  const stopping = stopSignal();
  const manager = new ServiceManager({
    environment: readServiceEnvironment(),
    send: sendDatagram,
    monotonicUsec,
    onFailure: (error) => log.warn("the service manager cannot be told: {error}", { error }),
  });
  const reactor = new Reactor(options.reactor);
  try {
    let begun: Service | undefined;
    const starting = start(
      reactor,
      log,
      (status) => manager.extendTimeout(EXTENSION_MS, status),
      (service) => begun = service,
    );
    const ready = await Promise.race([starting, stopping.then(() => undefined)]);
    using service = ready ?? begun;
    if (ready !== undefined) await serve(ready, manager, log, stopping);
    manager.stopping("stopping");
    log.info("stopping");
    await Promise.race([service?.finish?.(), new Promise((end) => setTimeout(end, LAST_WORDS_MS))]);
    return exitCode("ok");
  } catch (error) {
    if (!(error instanceof StartFailure)) throw error;
    log.fatal("{problem}", { problem: error.message });
    return exitCode("failure");
  } finally {
    await reactor.stop();
    logging.flush();
  }
}

async function serve(
  service: Service,
  manager: ServiceManager,
  log: Logger,
  stopping: Promise<unknown>,
): Promise<void> {
  revokeAllPermissions();
  using _watchdog = manager.startWatchdog();
  using _collection = collectWhileIdle();
  manager.ready(service.status);
  log.info("{status}", { status: service.status });
  let said = service.status;
  const telling = setInterval(() => {
    if (service.status !== said) manager.status(said = service.status);
  }, STATUS_EVERY_MS);
  await stopping;
  clearInterval(telling);
}
