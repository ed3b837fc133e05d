/** `clamd-vproxy`: lets guests scan over vsock without letting them talk to clamd. */

import "../command_line/last_resort.ts"; // before what may fail
import { asFileName, display, fromText } from "../../ffi/byte_string.ts";
import { Connection } from "../../ffi/connection.ts";
import { Directory } from "../../ffi/directory.ts";
import { isErrno } from "../../ffi/errno.ts";
import type { Reactor } from "../../ffi/reactor.ts";
import { type Address, showAddress, VMADDR_CID_HOST } from "../../ffi/socket.ts";
import { exitForUsage, optionsOrExit } from "../command_line/start.ts";
import { runDaemon, type Service, StartFailure } from "../daemon/daemon.ts";
import type { Logger } from "../logging/logging.ts";
import { inWords } from "../scanning/trouble.ts";
import { hostSideAddress } from "../transport/hybrid_vsock.ts";
import { listenFailure } from "../transport/listen_failure.ts";
import { usageProblem, VPROXY, type VproxyOptions } from "./options.ts";
import { Proxy } from "./proxy.ts";

const CONNECT_TIMEOUT_MS = 5000;

if (import.meta.main) {
  const options = optionsOrExit(VPROXY);
  const problem = usageProblem(options);
  if (problem !== undefined) exitForUsage(VPROXY.name, problem);
  const start = (reactor: Reactor, log: Logger) => startProxy(options, reactor, log);
  const reactor = { lingers: true };
  Deno.exit(await runDaemon({ name: "vproxy", debug: options.debug, reactor, start }));
}

async function startProxy(options: VproxyOptions, reactor: Reactor, log: Logger): Promise<Service> {
  const clamd: Address = { family: "unix", path: options.clamd };
  await checkClamd(reactor, clamd, log);
  const proxy = new Proxy(reactor, {
    clamd,
    limits: {
      maxConnections: options.maxConnections,
      maxConnectionsPerGuest: options.maxConnectionsPerGuest,
      maxStreamSize: options.maxStreamSize,
      maxChunkSize: options.maxChunkSize,
      commandTimeoutMs: options.commandTimeoutSecs * 1000,
      readTimeoutMs: options.readTimeoutSecs * 1000,
      streamTimeoutMs: options.streamTimeoutSecs * 1000,
    },
    log,
  });
  const addresses = addressesOf(options);
  for (const address of addresses) {
    try {
      proxy.listen(address);
    } catch (error) {
      proxy.close();
      throw new StartFailure(listenFailure(error, address));
    }
  }
  const places = addresses.map((address) => display(showAddress(address))).join(", ");
  return {
    status: `serving ${places} with clamd at ${display(showAddress(clamd))}`,
    finish: () => proxy.finish(),
    [Symbol.dispose]: () => proxy.close(),
  };
}

/** Unix sockets instead of vsock, unless a CID is given too. */
function addressesOf({ uds, cid, port }: VproxyOptions): readonly Address[] {
  const unix = uds.map((path) => hostSideAddress(path, port));
  if (unix.length > 0 && cid === undefined) return unix;
  return [...unix, { family: "vsock", cid: cid ?? VMADDR_CID_HOST, port }];
}

/** A clamd that is down for the moment comes back; one that was never there is a mistake. */
async function checkClamd(reactor: Reactor, clamd: Address, log: Logger): Promise<void> {
  try {
    using _ = await Connection.connect(reactor, clamd, CONNECT_TIMEOUT_MS);
  } catch (error) {
    const reason = inWords(error, clamd);
    if (!isErrno(error, "ECONNREFUSED", "ETIMEDOUT", "EAGAIN")) throw new StartFailure(reason);
    if (clamd.family === "unix" && isSomethingElse(clamd.path)) {
      const path = display(fromText(clamd.path));
      throw new StartFailure(`${path} is no socket: give clamd's LocalSocket with --clamd PATH`);
    }
    log.warn("{reason}; guests get an ERROR until it answers", { reason });
  }
}

/** Whether there is a thing, but no socket. It refuses connections as a clamd does that is down. */
function isSomethingElse(path: string): boolean {
  const slash = path.lastIndexOf("/");
  const name = asFileName(fromText(path.slice(slash + 1)));
  if (name === undefined) return true;
  using parent = Directory.openTrusted(fromText(path.slice(0, slash + 1) || "."));
  const kind = parent.status(name)?.kind;
  return kind === "file" || kind === "directory";
}
