/** AF_VSOCK is tested where nobody else listens: in a virtual machine that talks to itself. */

import { testInside } from "./support/inside.ts";

testInside("AF_VSOCK: all four programs in a machine of their own", "tests/vm/inside/vsock.ts");
