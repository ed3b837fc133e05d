/** `virtiofs-notify`: refreshes a guest's file browsers when its shares change on the host. */

import "../command_line/last_resort.ts"; // before what may fail
import { type ByteString, display, toText } from "../../ffi/byte_string.ts";
import type { Reactor } from "../../ffi/reactor.ts";
import { type Address, showAddress, VMADDR_CID_ANY } from "../../ffi/socket.ts";
import type { OptionValues } from "../command_line/definition.ts";
import { exitForUsage, optionsOrExit } from "../command_line/start.ts";
import { runDaemon, type Service, StartFailure } from "../daemon/daemon.ts";
import { existingDirectory } from "../daemon/trusted_path.ts";
import type { Logger } from "../logging/logging.ts";
import { hostSideAddress } from "../transport/hybrid_vsock.ts";
import { listenFailure } from "../transport/listen_failure.ts";
import { type ChannelMap, NOTIFY, readMap } from "./options.ts";
import { NotificationServer } from "./server.ts";

type Options = OptionValues<typeof NOTIFY["options"]>;

if (import.meta.main) {
  const options = optionsOrExit(NOTIFY);
  const reading = readMap(options.map);
  if ("problem" in reading) exitForUsage(NOTIFY.name, `--map ${reading.problem}`);
  const start = (reactor: Reactor, log: Logger) => startServer(options, reading.map, reactor, log);
  Deno.exit(await runDaemon({ name: "notify", debug: options.debug, start }));
}

function startServer(
  { uds, port, allowCid }: Options,
  map: ChannelMap,
  reactor: Reactor,
  log: Logger,
): Service {
  // Links on the way there now are meant; those that come later are not (I2).
  const channels = new Map<ByteString, ByteString>();
  for (const [channel, path] of map) {
    channels.set(channel, existingDirectory(`--map ${display(channel)}:`, toText(path)));
  }
  const address: Address = uds === undefined
    ? { family: "vsock", cid: VMADDR_CID_ANY, port }
    : hostSideAddress(uds, port);
  const server = new NotificationServer(reactor, {
    channels,
    allowedCids: new Set(allowCid),
    log,
  });
  try {
    server.listen(address, port);
  } catch (error) {
    throw new StartFailure(listenFailure(error, address));
  }
  return {
    status: `listening on ${display(showAddress(address))} for ${channels.size} ${
      channels.size === 1 ? "channel" : "channels"
    }`,
    [Symbol.dispose]: () => server[Symbol.dispose](),
  };
}
