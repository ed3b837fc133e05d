/** Failures to reach a scanner, in words. */

// @ts-types="../support/assert.d.ts"
import { assertMatch } from "@std/assert";
import { ERRNO, type ErrnoName, SystemError } from "../../ffi/errno.ts";
import type { Address } from "../../ffi/socket.ts";
import { inWords } from "../../src/scanning/trouble.ts";

const SOCKET: Address = { family: "unix", path: "/run/clamd\n.ctl" };
const VSOCK: Address = { family: "vsock", cid: 2, port: 3400 };

Deno.test("each failure names the address, escaped, and what may be the cause", () => {
  const cases: readonly (readonly [string, ErrnoName, Address, RegExp])[] = [
    ["connect", "ENOENT", SOCKET, /^there is no socket \/run\/clamd\\x0a\.ctl: is clamd running/],
    ["connect", "ECONNREFUSED", SOCKET, /^nobody listens at .*\.ctl: clamd does not run/],
    ["connect", "EACCES", SOCKET, /^no permission for .*\.ctl: join its group/],
    ["recv", "ECONNRESET", SOCKET, /^clamd at .*\.ctl ended the connection/],
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
