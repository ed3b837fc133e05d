/** What the service manager tells a daemon through the environment: sd_notify(3), sd_watchdog_enabled(3). */

/** As `Deno.env`; the names below are all that is asked for. */
export interface Environment {
  get(name: string): string | undefined;
  delete(name: string): void;
}

export interface ServiceEnvironment {
  /** Where messages go: a path, or `@name` for the abstract namespace. */
  readonly notifySocket: string | undefined;
  /** Milliseconds within which a sign of life is expected. */
  readonly watchdogMs: number | undefined;
}

/** For `--allow-env`. */
export const SERVICE_VARIABLES = ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"] as const;

/** Reads the variables and forgets them, so that no child takes itself for the daemon. */
export function readServiceEnvironment(
  environment: Environment = Deno.env,
  pid: number = Deno.pid,
): ServiceEnvironment {
  const [socket, usec, watchdogPid] = SERVICE_VARIABLES.map((name) => {
    const value = environment.get(name);
    if (value !== undefined) environment.delete(name);
    return value;
  });
  const isForUs = watchdogPid === undefined || watchdogPid === String(pid);
  return {
    // Other forms (vsock:…) are for virtual machines that report to their host.
    notifySocket: socket !== undefined && /^[/@]./s.test(socket) ? socket : undefined,
    watchdogMs: isForUs && usec !== undefined && /^[1-9]\d{0,15}$/.test(usec)
      ? Number(usec) / 1000
      : undefined,
  };
}
