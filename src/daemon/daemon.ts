/** The life of a daemon that keeps no state: start, say so, give up permissions, serve, stop on request. */

import { monotonicUsec } from "../../ffi/clock.ts";
import { Reactor } from "../../ffi/reactor.ts";
import { sendDatagram } from "../../ffi/socket.ts";
import { exitCode } from "../command_line/exit_codes.ts";
import { configureLogging, type Logger, logger } from "../logging/logging.ts";
import { readServiceEnvironment } from "../service_manager/environment.ts";
import { revokeAllPermissions } from "../service_manager/permissions.ts";
import { ServiceManager } from "../service_manager/service_manager.ts";
import { stopSignal } from "../service_manager/stop_signal.ts";

/** Why a daemon cannot start, in words for whoever can change it. */
export class StartFailure extends Error {
  override readonly name = "StartFailure";
}

/** What serves until it is disposed. */
export interface Service extends Disposable {
  /** What it serves, in one line: for the log and the service manager. */
  readonly status: string;
}

export interface DaemonOptions {
  /** The first part of its log category. */
  readonly name: string;
  readonly debug: boolean;
  /** Throws a StartFailure where somebody can do something about it. */
  readonly start: (reactor: Reactor, log: Logger) => Promise<Service> | Service;
}

/** Serves until SIGTERM, SIGINT or SIGHUP; the exit code. */
export async function runDaemon({ name, debug, start }: DaemonOptions): Promise<number> {
  const logging = configureLogging({ debug });
  const log = logger(name);
  const stopping = stopSignal();
  const manager = new ServiceManager({
    environment: readServiceEnvironment(),
    send: sendDatagram,
    monotonicUsec,
    onFailure: (error) => log.warn("the service manager cannot be told: {error}", { error }),
  });
  const reactor = new Reactor();
  try {
    using service = await start(reactor, log);
    revokeAllPermissions();
    using _watchdog = manager.startWatchdog();
    manager.ready(service.status);
    log.info("{status}", { status: service.status });
    await stopping;
    manager.stopping("stopping");
    log.info("stopping");
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
