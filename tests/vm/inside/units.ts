/**
 * Runs INSIDE a virtual machine of tests/vm: the units under a real systemd, with real AF_VSOCK. The sandbox has a
 * network namespace of its own; vsock must go through it.
 */

// @ts-types="../../support/assert.d.ts"
import { assertEquals } from "@std/assert";
import { EICAR } from "../../support/eicar.ts";
import { Machine, shippedDropIn, USER } from "../../support/machine.ts";
import { waitFor } from "../../support/wait.ts";
import { MACHINE_MARK } from "../support/virtual_machine.ts";

if (!Deno.readTextFileSync("/proc/cmdline").includes(MACHINE_MARK)) {
  throw new Error("this belongs into a virtual machine of tests/vm");
}

const GATE = "virtiofs-gate.service";
const VPROXY = "clamd-vproxy.service";
const VCLIENT = `clamd-vclient@${USER}.service`;
const NOTIFY = `virtiofs-notify@${USER}.service`;
const LOOPBACK = 1;
const PATIENCE_MS = 300_000;

const service = (options: string, path: string) => ({
  "test.conf": `[Service]\nEnvironment="OPTIONS=${options}"\nBindPaths=${path}\n`,
});

Deno.test({
  name: "units and AF_VSOCK",
  sanitizeOps: false,
  sanitizeResources: false,
  fn: async () => {
    await using machine = await Machine.start({
      [GATE]: {
        "vsock.conf": shippedDropIn(`${GATE}.d/vsock.conf`),
        "unprivileged.conf": shippedDropIn(`${GATE}.d/unprivileged.conf`),
      },
      [VCLIENT]: service(`--watch /home/${USER}/Downloads`, `/home/${USER}/Downloads`),
      [NOTIFY]: service(
        `--map docs=/home/${USER}/docs --allow-cid ${LOOPBACK}`,
        `/home/${USER}/docs`,
      ),
    }, { filesystem: "xfs", guests: [LOOPBACK] });
    const { systemd, channel } = machine;
    const units = [VPROXY, VCLIENT, NOTIFY, GATE];
    for (const unit of units) await systemd.systemctl("start", unit);

    const downloads = machine.outside(`/home/${USER}/Downloads`);
    // Owned before it arrives: the scanner is quick.
    await Deno.writeFile(machine.outside(`/home/${USER}/game.exe`), EICAR);
    await machine.shell(`cd /home/${USER} && chown ${USER}: game.exe && mv game.exe Downloads/`);
    const names = (path: string) => [...Deno.readDirSync(path)].map(({ name }) => name);
    await waitFor(
      "malware is found over vsock and removed",
      () => names(downloads).length === 0,
      PATIENCE_MS,
    );

    await channel.share("ann").write("letter", "Dear Bob");
    await waitFor("it arrives", () => channel.share("bob").has("letter"), PATIENCE_MS);
    await waitFor(
      "the guest is told over vsock",
      () => names(machine.outside(`/home/${USER}/docs`)).includes(".virtiofs-refresh"),
      PATIENCE_MS,
    );
    for (const unit of units) {
      await systemd.systemctl("stop", unit);
      assertEquals(await systemd.property(unit, "Result"), "success", unit);
    }
  },
});
