/** Who hears of malware, and of what could not be scanned: the log, and the user over a socket. */

import { absolutePath, display, type RelativePath } from "../../ffi/byte_string.ts";
import type { Reactor } from "../../ffi/reactor.ts";
import type { Logger } from "../logging/logging.ts";
import { RepeatLimit } from "../logging/repeat_limit.ts";
import { UserNotifier } from "../user_notification/user_notifier.ts";
import type { ChannelConfig, InfectedAction } from "./config/channel_config.ts";
import type { JudgeParts } from "./judge.ts";
import { about } from "./channel_log.ts";
import type { Replica } from "./replica.ts";

/** What is to be done with an infected file, in the words that follow its place in the log. */
const CONSEQUENCES: Readonly<Record<InfectedAction, string>> = {
  delete: "it is deleted there",
  quarantine: "it goes to quarantine",
  log: "it stays there, and travels nowhere",
};

/** `log` bears the channel's name. */
export function verdictReports(
  config: ChannelConfig,
  reactor: Reactor,
  log: Logger,
): Pick<JudgeParts, "onMalware" | "onScanError"> {
  const { basePath, scanning, userNotify } = config;
  const repeats = new RepeatLimit();
  const onTrouble = (message: string) => {
    // Of many messages that do not reach the user the log would have room for nothing else.
    if (repeats.admits(message)) log.warn("{channel}: {message}", { message });
  };
  const user = userNotify.enable
    ? new UserNotifier(reactor, userNotify.socket, onTrouble)
    : undefined;
  const placeOf = (replica: Replica, path: RelativePath) =>
    absolutePath(absolutePath(basePath, replica.name), path);
  return {
    onMalware(replica, path, signature) {
      const place = placeOf(replica, path);
      log.warn("{channel}: malware {signature} in {place}: {consequence}", {
        ...about(replica),
        signature,
        place: display(place),
        consequence: CONSEQUENCES[scanning.infectedAction],
      });
      user?.malware(place, signature);
    },
    onScanError(replica, path, reason, travels) {
      const place = placeOf(replica, path);
      log.warn("{channel}: {place} could not be scanned and {consequence}: {reason}", {
        ...about(replica),
        place: display(place),
        consequence: travels ? "travels UNSCANNED" : "is held",
        reason,
      });
      user?.scanError(place, reason);
    },
  };
}
