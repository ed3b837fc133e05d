/** The hardened units with real AF_VSOCK: see inside/units.ts. */

import { testInside } from "./support/inside.ts";

testInside(
  "I8: in their sandboxes, under a real systemd, the programs speak AF_VSOCK",
  "tests/vm/inside/units.ts",
);
