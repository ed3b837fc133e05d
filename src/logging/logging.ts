/**
 * The log of all programs, on standard error: for people at a terminal, for the journal otherwise.
 *
 * ```ts
 * const log = logger("gate", "watcher");
 * log.warn("{path} cannot be watched: {error}", { channel, producer, path: display(path), error });
 * ```
 *
 * Messages are constant texts with placeholders: what varies goes into the properties, names that
 * guests chose through `display`. That makes "the same kind of message" a fact, which the rate limit
 * needs; messages with different `channel`, `producer` or `guest` count as different kinds, so that
 * one guest's noise does not silence another's.
 */

import { configureSync, getLogger, type Logger, type LogRecord, type Sink } from "@logtape/logtape";
import { LineWriter, type SyncStream } from "./line_writer.ts";
import { type Rate, RateLimit } from "./rate_limit.ts";
import { journalStyle, type LineStyle, messageText, terminalStyle } from "./record_text.ts";

export type { Logger } from "@logtape/logtape";

/** Where a program's parts log: the program first, then the part. */
export function logger(program: string, ...part: readonly string[]): Logger {
  return getLogger([program, ...part]);
}

export interface LoggingOptions {
  /** Log debug messages too. */
  readonly debug: boolean;
  /** Whether a person reads along; found out from standard error if not given. */
  readonly terminal?: boolean;
  /** What to write to in place of standard error, such as what never waits for a reader. */
  readonly stream?: SyncStream | undefined;
}

export interface Logging {
  /** Says what the rate limit has held back so far; for the end of the program. */
  flush(): void;
}

/** Sets up the log of the whole program. Needs no permission. */
export function configureLogging({ debug, terminal, stream }: LoggingOptions): Logging {
  const isTerminal = terminal ?? Deno.stderr.isTerminal();
  const style = isTerminal ? terminalStyle(!Deno.noColor) : journalStyle;
  const { sink, flush } = lineSink(stream ?? Deno.stderr, style);
  configureSync({
    sinks: { stderr: sink },
    loggers: [
      { category: [], sinks: ["stderr"], lowestLevel: debug ? "debug" : "info" },
      // logtape's words about itself
      { category: ["logtape", "meta"], lowestLevel: "warning" },
    ],
    reset: true,
  });
  return { flush };
}

/** What a guest can cause is logged up to this rate; debug messages are asked for, and flow. */
const USUAL_RATE: Rate = { burst: 50, perSecond: 5 };
const DEBUG_RATE: Rate = { burst: 2000, perSecond: 500 };
/** A line counts for as many messages as it is times as long: names are as long as guests like. */
const USUAL_LENGTH = 512;

/** How long suppressed messages are counted before the count is logged. */
const SUMMARY_MS = 10_000;

export interface LineSink {
  readonly sink: Sink;
  readonly flush: () => void;
}

/** Writes records to `stream`, within the rate limit. `now` is monotonic, in milliseconds. */
export function lineSink(
  stream: SyncStream,
  style: LineStyle,
  now: () => number = () => performance.now(),
): LineSink {
  const limit = new RateLimit<LogRecord>();
  const writer = new LineWriter(
    stream,
    (lines) =>
      style(ownRecord(`${lines} log lines are missing here: the log's reader was too slow`)),
  );
  let summary: ReturnType<typeof setTimeout> | undefined;
  const flush = () => {
    clearTimeout(summary);
    summary = undefined;
    for (const { sample, count } of limit.takeSuppressed()) {
      const text = `${count} more messages like this one were not logged: ${messageText(sample)}`;
      writer.write(style({ ...ownRecord(text), level: sample.level, category: sample.category }));
    }
  };
  const sink = (record: LogRecord) => {
    const kind = kindOf(record);
    const rate = rateOf(record);
    const nowMs = now();
    if (limit.admits(kind, rate, nowMs, record)) {
      const line = style(record);
      limit.charge(kind, rate, nowMs, line.length / USUAL_LENGTH - 1);
      writer.write(line);
    } else if (summary === undefined) {
      summary = setTimeout(flush, SUMMARY_MS);
      Deno.unrefTimer(summary); // a summary alone keeps no program running
    }
  };
  return { sink, flush };
}

function ownRecord(text: string): LogRecord {
  return {
    category: [],
    level: "warning",
    message: [text],
    rawMessage: text,
    timestamp: Date.now(),
    properties: {},
  };
}

function rateOf({ level }: LogRecord): Rate {
  return level === "debug" || level === "trace" ? DEBUG_RATE : USUAL_RATE;
}

/** The message without its values, and whom it is about. */
function kindOf({ category, level, rawMessage, properties }: LogRecord): string {
  const about = [properties["channel"], properties["producer"], properties["guest"]];
  return [level, ...category, "", rawMessage, ...about].map(String).join("\0");
}
