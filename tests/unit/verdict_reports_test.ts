/** What is told of verdicts, also while one guest has very much to be told of. */

// @ts-types="../support/assert.d.ts"
import { assert, assertLessOrEqual } from "@std/assert";
import { fileName, fromText, type RelativePath } from "../../ffi/byte_string.ts";
import { Reactor } from "../../ffi/reactor.ts";
import { ChannelLog } from "../../src/gate/channel_log.ts";
import type { ChannelConfig } from "../../src/gate/config/channel_config.ts";
import { parseConfiguration } from "../../src/gate/config/configuration.ts";
import { Replica } from "../../src/gate/replica.ts";
import { verdictReports } from "../../src/gate/verdict_reports.ts";
import { configureLogging, logger } from "../../src/logging/logging.ts";
import { IdleListener } from "../support/idle_listener.ts";
import { scratchDirectory } from "../support/scratch.ts";

const ANN = new Replica("producer", fileName("ann"));
const BOB = new Replica("producer", fileName("bob"));
const FLOOD = 10_000;

const path = (name: string) => fromText(name) as RelativePath;

/** The log while `tell` tells. */
function logOf(tell: () => void): string {
  let text = "";
  const stream = {
    writeSync(bytes: Uint8Array): number {
      text += new TextDecoder().decode(bytes);
      return bytes.length;
    },
  };
  configureLogging({ debug: false, terminal: false, stream });
  tell();
  return text;
}

function channelOf(written: Readonly<Record<string, unknown>>): ChannelConfig {
  const { channels: [config] } = parseConfiguration(JSON.stringify({ docs: written }), {
    unknownKeys: "fault",
  });
  assert(config !== undefined);
  return config;
}

Deno.test("I7: one guest's malware and failures silence nothing that is to be said of another's", () => {
  const written = { basePath: "/srv/a", producers: ["ann", "bob"], userNotify: { enable: false } };
  const config = channelOf(written);
  using reactor = new Reactor();
  const text = logOf(() => {
    const log = logger("gate").with({ channel: "docs" });
    const reports = verdictReports(config, reactor, log);
    const channelLog = new ChannelLog(log);
    const tell = (replica: Replica, name: string) => {
      reports.onMalware(replica, path(name), "Test");
      reports.onScanError(replica, path(name), "no answer", false);
      channelLog.trouble(`share/${replica.producer}/${name} cannot be written`, replica);
    };
    for (let number = 0; number < FLOOD; number++) tell(ANN, `flood-${number}`);
    tell(BOB, "single");
    channelLog.trouble("the disk is full");
  });
  assertLessOrEqual(text.split("\n").length, 500);
  for (
    const words of [
      "malware Test in /srv/a/share/bob/single",
      "/srv/a/share/bob/single could not be scanned",
      "share/bob/single cannot be written",
      "the disk is full",
    ]
  ) assert(text.includes(words), words);
});

Deno.test("I7: a user who does not read silences nothing that is to be said of the channel", async () => {
  const folder = scratchDirectory("user");
  const socket = `${folder}/socket`;
  using _user = new IdleListener(socket);
  const written = { basePath: "/srv/a", producers: ["ann"], userNotify: { socket } };
  const config = channelOf(written);
  const reactor = new Reactor();
  const text = logOf(() => {
    const log = logger("gate").with({ channel: "docs" });
    const reports = verdictReports(config, reactor, log);
    for (let number = 0; number < FLOOD; number++) {
      reports.onMalware(ANN, path(`flood-${number}`), "Test");
    }
    new ChannelLog(log).trouble("the disk is full");
  });
  await reactor.stop();
  assert(text.includes("is not read: messages to the user are dropped"));
  assert(text.includes("the disk is full"));
});

Deno.test("I6: long names make no longer log", () => {
  const text = logOf(() => {
    const channelLog = new ChannelLog(logger("gate").with({ channel: "docs" }));
    const long = "n".repeat(8000);
    for (let number = 0; number < FLOOD; number++) channelLog.trouble(`${number} ${long}`, ANN);
  });
  assertLessOrEqual(text.length, 64 * 1024);
  assert(text.includes("<4>docs: 0 nnn"));
});
