/** Waiting for what another process does. */

export const PATIENCE_MS = 60_000;

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/**
 * Looks again and again until `condition` gives something other than `undefined` or `false`, and returns it.
 * Fails after `timeoutMs` with `what`, which may be computed then.
 */
export async function waitFor<T>(
  what: string | (() => string),
  condition: () => Promise<T | false | undefined> | T | false | undefined,
  timeoutMs = PATIENCE_MS,
): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  for (let pauseMs = 5;; pauseMs = Math.min(pauseMs * 1.5, 100)) {
    const value = await condition();
    if (value !== undefined && value !== false) return value;
    if (Date.now() > deadline) {
      throw new Error(
        `waited ${timeoutMs / 1000} s in vain: ${typeof what === "string" ? what : what()}`,
      );
    }
    await sleep(pauseMs);
  }
}
