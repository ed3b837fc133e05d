/** Failures to reach a scanner, in words. */

// @ts-types="../support/assert.d.ts"
import { assertMatch } from "@std/assert";
import { ERRNO, type ErrnoName, SystemError } from "../../ffi/errno.ts";
import type { Address } from "../../ffi/socket.ts";
import { inWords, type ScannerAddress } from "../../src/scanning/trouble.ts";

const SOCKET: Address = { family: "unix", path: "/run/clamd\n.ctl" };
const PROXY: ScannerAddress = { family: "unix", path: "/run/vm_3400", isProxy: true };
const VSOCK: Address = { family: "vsock", cid: 2, port: 3400 };

Deno.test("each failure names the address, escaped, and what may be the cause", () => {
  const cases: readonly (readonly [string, ErrnoName, ScannerAddress, RegExp])[] = [
    ["connect", "ENOENT", SOCKET, /^there is no socket \/run\/clamd\\x0a\.ctl: is clamd running/],
    ["connect", "ECONNREFUSED", SOCKET, /^nobody listens at .*\.ctl: clamd does not run/],
    ["connect", "EACCES", SOCKET, /^no permission for .*\.ctl: join its group/],
    ["recv", "ECONNRESET", SOCKET, /^clamd at .*\.ctl ended the connection/],
    [
      "connect",
      "ENOENT",
      PROXY,
      /^there is no socket \/run\/vm_3400: does clamd-vproxy listen there/,
    ],
    [
      "connect",
      "ECONNREFUSED",
      PROXY,
      /^nobody listens at \/run\/vm_3400: clamd-vproxy does not run/,
    ],
    [
      "connect",
      "EACCES",
      PROXY,
      /^no permission for \/run\/vm_3400: join the group of clamd-vproxy's socket/,
    ],
    ["connect", "EAGAIN", PROXY, /^clamd-vproxy at \/run\/vm_3400 takes no more connections/],
    ["recv", "ECONNRESET", PROXY, /^clamd-vproxy at \/run\/vm_3400 ended the connection/],
    ["connect", "ECONNRESET", VSOCK, /^nobody listens at vsock 2:3400: does clamd-vproxy run/],
    ["recv", "ECONNRESET", VSOCK, /^clamd at vsock 2:3400 ended the connection/],
    ["connect", "ETIMEDOUT", VSOCK, /^clamd at vsock 2:3400 does not answer$/],
    ["connect", "ENODEV", VSOCK, /^there is no way to vsock 2:3400: give this machine a vsock/],
    ["socket", "EAFNOSUPPORT", VSOCK, /^there is no way to vsock 2:3400: .*its kernel the module/],
    [
      "socket path",
      "ENAMETOOLONG",
      SOCKET,
      /^\/run\/clamd.*\.ctl is too long for the path of a soc/,
    ],
    ["recv", "EIO", VSOCK, /^clamd at vsock 2:3400: recv: EIO/],
  ];
  for (const [call, code, address, expected] of cases) {
    assertMatch(inWords(new SystemError(call, ERRNO[code]), address), expected);
  }
});
