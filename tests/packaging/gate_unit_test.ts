/** virtiofs-gate.service under a real systemd: it does its work inside its sandbox, and comes back. */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals, assertMatch } from "@std/assert";
import { EICAR } from "../support/eicar.ts";
import type { DropIns } from "../support/installation.ts";
import { shippedDropIn, testOnMachine } from "../support/machine.ts";
import { waitFor } from "../support/wait.ts";

const GATE = "virtiofs-gate.service";

/** Short times, or the tests would wait for half a minute. */
const QUICK = { "quick.conf": "[Service]\nWatchdogSec=3\nRestartSec=100ms\n" };

const VARIANTS: Readonly<Record<string, DropIns>> = {
  "as root": { [GATE]: QUICK },
  "without root": {
    [GATE]: { ...QUICK, "unprivileged.conf": shippedDropIn(`${GATE}.d/unprivileged.conf`) },
  },
};

for (const [variant, dropIns] of Object.entries(VARIANTS)) {
  testOnMachine(`I8: the gate does all its work in its sandbox, ${variant}`, GATE, dropIns, async (
    { systemd, channel, user },
  ) => {
    await systemd.systemctl("start", GATE);
    const [ann, bob] = [channel.share("ann"), channel.share("bob")];

    await ann.write("office/order.txt", "200 sheets", { mode: 0o640, uid: 1000, gid: 1000 });
    await waitFor("a clean file arrives", () => bob.has("office/order.txt"));
    await channel.settled();

    await ann.write("game.exe", EICAR);
    await waitFor("malware is removed", () => !ann.has("game.exe"));
    await waitFor("the user is told", () => user.lines.some((line) => /game\.exe$/.test(line)));
    assertEquals(await channel.infectedElsewhere(), []);

    await Deno.remove(`${bob.path}/office/order.txt`);
    await waitFor("a deletion travels", () => !ann.has("office/order.txt"));
    await channel.settled();

    await systemd.systemctl("stop", GATE);
    assertEquals(await systemd.property(GATE, "Result"), "success");
  });

  testOnMachine(`I3: the gate is started again after a crash, ${variant}`, GATE, dropIns, async (
    machine,
  ) => {
    const { systemd, channel } = machine;
    await systemd.systemctl("start", GATE);
    const [ann, bob] = [channel.share("ann"), channel.share("bob")];
    const first = await machine.mainPid(GATE);
    await systemd.systemctl("kill", GATE, "--signal=SIGKILL");
    await ann.write("meanwhile", "written while nobody looked");
    await machine.restarted(GATE, first);
    await waitFor("what was written meanwhile arrives", () => bob.has("meanwhile"));

    // It hangs: no more signs of life.
    const second = await machine.mainPid(GATE);
    await systemd.systemctl("kill", GATE, "--signal=SIGSTOP");
    await ann.write("later", "written while it hung");
    await machine.restarted(GATE, second);
    await waitFor("what was written meanwhile arrives", () => bob.has("later"));
    assert((await systemd.journal(GATE)).includes("Watchdog timeout"));
    assertEquals(await systemd.property(GATE, "NRestarts"), "2");
    await channel.settled();
  });
}

testOnMachine("a reload uses a changed configuration; one with faults fails it", GATE, {
  [GATE]: {
    "slower.conf": "[Service]\nWatchdogSec=6\n",
    "unprivileged.conf": shippedDropIn(`${GATE}.d/unprivileged.conf`),
  },
}, async (machine) => {
  const { systemd, channel } = machine;
  await systemd.systemctl("start", GATE);
  const pid = await machine.mainPid(GATE);
  const file = machine.outside("/etc/virtiofs/channels.json");
  const { docs } = JSON.parse(await Deno.readTextFile(file));
  const configure = (more: object) =>
    Deno.writeTextFile(file, JSON.stringify({ docs: { ...docs, ...more } }));
  const [ann, bob] = [channel.share("ann"), channel.share("bob")];

  await configure({ producers: "ann" });
  const { code } = await systemd.run("systemctl", ["reload", GATE]);
  assertEquals(code, 1);
  assertMatch(await systemd.journal(GATE), /docs.*producers/);
  await ann.write("first", "1");
  await waitFor("it goes on as before", () => bob.has("first"));

  await configure({ scanning: { ...docs.scanning, ignoreFilePatterns: [".part"] } });
  await systemd.systemctl("reload", GATE);
  // Before systemd 253 a reload is over when the signal was sent.
  await waitFor(
    "it is ready again",
    async () =>
      /serving[^]*starting anew[^]*serving/.test(await systemd.journal(GATE)) &&
      await systemd.property(GATE, "ActiveState") === "active",
  );
  assertEquals(await machine.mainPid(GATE), pid);
  await ann.write("download.part", "2");
  await ann.write("second", "2");
  await waitFor("it arrives", () => bob.has("second"));
  assert(!bob.has("download.part"));

  const lastSign = () => systemd.property(GATE, "WatchdogTimestampMonotonic");
  const before = await lastSign();
  await waitFor("it goes on giving signs of life", async () => await lastSign() !== before);
  assertEquals(await machine.mainPid(GATE), pid);
  assertEquals(await systemd.property(GATE, "NRestarts"), "0");
  await systemd.systemctl("stop", GATE);
  assertEquals(await systemd.property(GATE, "Result"), "success");
});
