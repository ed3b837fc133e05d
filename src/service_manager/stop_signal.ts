/** Stops a daemon on request, in order; on the second request at once. */

import { exitCodeOfSignal } from "../command_line/exit_codes.ts";

export type StopSignal = "SIGTERM" | "SIGINT" | "SIGHUP";

export interface StopOptions {
  /** Daemons that reload on SIGHUP leave it out. */
  readonly signals?: readonly StopSignal[];
  /** Ends the process; replaced in tests. */
  readonly exit?: (code: number) => void;
}

/**
 * Calls `stop` for the first stop signal. A second one, while `stop` is still at work, ends the
 * process with 128 + the signal's number. Listens until disposed.
 */
export function onStopSignal(
  stop: (signal: StopSignal) => void,
  { signals = ["SIGTERM", "SIGINT", "SIGHUP"], exit = Deno.exit }: StopOptions = {},
): Disposable {
  let isStopping = false;
  const listeners = signals.map((signal) => {
    const listener = () => {
      if (isStopping) return exit(exitCodeOfSignal(signal));
      isStopping = true;
      stop(signal);
    };
    Deno.addSignalListener(signal, listener);
    return () => Deno.removeSignalListener(signal, listener);
  });
  return {
    [Symbol.dispose]() {
      for (const remove of listeners.splice(0)) remove();
    },
  };
}

/** Resolves with the first stop signal; a second one ends the process. */
export function stopSignal(options: StopOptions = {}): Promise<StopSignal> {
  return new Promise((resolve) => onStopSignal(resolve, options));
}
