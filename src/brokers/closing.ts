const CLOSE_TIMEOUT_MS = 1_000;

/** Waits until the server has taken what was sent last, but not for ever: a broker that is closed shall end. What goes wrong is of no interest any more. */
export async function lastTaken(taking: Promise<unknown>): Promise<void> {
  const { promise: timedOut, resolve } = Promise.withResolvers<void>();
  const timeout = setTimeout(resolve, CLOSE_TIMEOUT_MS);
  await Promise.race([taking.catch(() => {}), timedOut]);
  clearTimeout(timeout);
}
