// @ts-types="../support/assert.d.ts"
import { assert, assertEquals, assertLess } from "@std/assert";
import fc from "fast-check";
import { ERRNO, isErrno, SystemError } from "../../ffi/errno.ts";
import { sendDatagram } from "../../ffi/socket.ts";
import {
  readServiceEnvironment,
  SERVICE_VARIABLES,
  type ServiceEnvironment,
} from "../../src/service_manager/environment.ts";
import { encodeNotification } from "../../src/service_manager/notification.ts";
import {
  ServiceManager,
  type ServiceManagerParts,
} from "../../src/service_manager/service_manager.ts";
import { ServiceManager as Receiver } from "../support/service_manager.ts";
import { sleep, waitFor } from "../support/wait.ts";

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

function manager(
  environment: Partial<ServiceEnvironment>,
  failure?: Error,
  send?: ServiceManagerParts["send"],
) {
  const sent: string[] = [];
  const failures: unknown[] = [];
  const service = new ServiceManager({
    environment: { notifySocket: "/run/systemd/notify", watchdogMs: undefined, ...environment },
    send: send ?? ((address, datagram) => {
      if (failure !== undefined) throw failure;
      sent.push(`${address} ${text(datagram).replaceAll("\n", " ")}`);
    }),
    monotonicUsec: () => 1_234_567n,
    onFailure: (error) => failures.push(error),
  });
  return { service, sent, failures };
}

function environment(variables: Record<string, string>) {
  const map = new Map(Object.entries(variables));
  return { map, read: () => readServiceEnvironment(map, 42) };
}

Deno.test("the protocol of sd_notify(3), message by message", () => {
  const { service, sent } = manager({});
  service.extendTimeout(1500, "reading shares");
  service.ready("3 channels");
  service.status("scanned 5 of 9");
  service.reloading("reading the configuration");
  service.stopping("finishing 2 files");
  assertEquals(sent, [
    "/run/systemd/notify STATUS=reading shares EXTEND_TIMEOUT_USEC=1500000",
    "/run/systemd/notify READY=1 STATUS=3 channels",
    "/run/systemd/notify STATUS=scanned 5 of 9",
    "/run/systemd/notify RELOADING=1 MONOTONIC_USEC=1234567 STATUS=reading the configuration",
    "/run/systemd/notify STOPPING=1 STATUS=finishing 2 files",
  ]);
});

Deno.test("I9: a status is one line, and cannot say anything else to the manager", () => {
  assertEquals(
    text(encodeNotification({ status: "a\nMAINPID=1" })),
    "STATUS=a\\x0aMAINPID=1",
  );
  fc.assert(fc.property(fc.string({ unit: "binary" }), (status) => {
    const lines = text(encodeNotification({ state: "ready", status })).split(
      /[\p{Zl}\p{Zp}\p{Cc}]/u,
    );
    assertEquals(lines.length, 2);
  }));
});

Deno.test("without a service manager nothing is sent", () => {
  const { service, sent, failures } = manager({ notifySocket: undefined });
  service.ready("ready");
  assertEquals([sent, failures], [[], []]);
});

Deno.test("a manager that cannot be reached is reported once, and is no failure", () => {
  const { service, failures } = manager({}, new Error("connection refused"));
  service.ready("ready");
  service.stopping("stopping");
  assertEquals(failures.length, 1);
});

Deno.test("the environment is read by name, and forgotten", () => {
  const { map, read } = environment({
    NOTIFY_SOCKET: "@systemd",
    WATCHDOG_USEC: "20000000",
    WATCHDOG_PID: "42",
    HOME: "/root",
  });
  assertEquals(read(), { notifySocket: "@systemd", watchdogMs: 20_000 });
  assertEquals([...map.keys()], ["HOME"]);
  assertEquals(SERVICE_VARIABLES.filter((name) => map.has(name)), []);
});

Deno.test("a watchdog meant for another process, or that makes no sense, is none", () => {
  const watchdogMs = (variables: Record<string, string>) =>
    environment(variables).read().watchdogMs;
  assertEquals(watchdogMs({ WATCHDOG_USEC: "1000" }), 1);
  assertEquals(watchdogMs({ WATCHDOG_USEC: "1000", WATCHDOG_PID: "43" }), undefined);
  for (const usec of ["", "0", "-1", "x", "1e6", "1".repeat(30)]) {
    assertEquals(watchdogMs({ WATCHDOG_USEC: usec }), undefined, usec);
  }
  for (const socket of ["", "@", "/", "relative", "vsock:2:9999"]) {
    assertEquals(environment({ NOTIFY_SOCKET: socket }).read().notifySocket, undefined, socket);
  }
});

Deno.test("signs of life come within half the time allowed, while the daemon is healthy", async () => {
  const { service, sent } = manager({ watchdogMs: 20 });
  let isHealthy = true;
  {
    using _watchdog = service.startWatchdog(() => isHealthy);
    assertEquals(sent, ["/run/systemd/notify WATCHDOG=1"]);
    await waitFor("signs of life", () => sent.length >= 3);
    isHealthy = false;
    const before = sent.length;
    await sleep(60);
    assertEquals(sent.length, before);
    isHealthy = true;
    await waitFor("signs of life", () => sent.length > before);
  }
  const after = sent.length;
  await sleep(60);
  assertEquals(sent.length, after);
});

Deno.test("no watchdog is asked for: no signs of life", () => {
  const { service, sent } = manager({ watchdogMs: undefined });
  using _watchdog = service.startWatchdog();
  assertEquals(sent, []);
});

Deno.test("messages reach a real socket", async () => {
  const directory = await Deno.makeTempDir();
  try {
    using receiver = new Receiver(`${directory}/notify`);
    const { service } = manager({ notifySocket: receiver.path }, undefined, sendDatagram);
    service.ready("serving");
    assertEquals(receiver.said(), ["READY=1", "STATUS=serving"]);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("a manager that is busy hears everything afterwards, in order, and of a status the last", async () => {
  const directory = await Deno.makeTempDir();
  try {
    using receiver = new Receiver(`${directory}/notify`, { isBusy: true });
    const { service, failures } = manager({ notifySocket: receiver.path }, undefined, sendDatagram);
    const others = fill(receiver.path);
    service.extendTimeout(1000, "starting");
    service.ready("serving");
    service.status("1 path in work");
    service.reloading("reading the configuration");
    service.status("2 paths in work");
    service.ready("serving anew");
    await sleep(50);
    const said = () => receiver.said().slice(others);
    await waitFor("the last", () => said().includes("STATUS=serving anew"));
    assertEquals(said(), [
      "STATUS=starting",
      "EXTEND_TIMEOUT_USEC=1000000",
      "READY=1",
      "STATUS=1 path in work",
      "RELOADING=1",
      "MONOTONIC_USEC=1234567",
      "STATUS=2 paths in work",
      "READY=1",
      "STATUS=serving anew",
    ]);
    assertEquals(failures, []);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

/** Other services' messages, as many as the kernel keeps for a manager; how many. */
function fill(path: string): number {
  for (let count = 0;; count++) {
    try {
      sendDatagram(path, new TextEncoder().encode("WATCHDOG=1"));
    } catch (error) {
      if (isErrno(error, "EAGAIN")) return count;
      throw error;
    }
  }
}

Deno.test("I6: for a manager that stays busy a few messages wait, the newest", async () => {
  let isBusy = true;
  const sent: string[] = [];
  const { service } = manager({}, undefined, (_, datagram) => {
    if (isBusy) throw new SystemError("sendto", ERRNO.EAGAIN);
    sent.push(text(datagram));
  });
  for (let i = 0; i < 1000; i++) {
    service.reloading("reading");
    service.ready(`serving ${i}`);
    service.status(`status ${i}`);
  }
  isBusy = false;
  await waitFor("the newest", () => sent.at(-1) === "READY=1\nSTATUS=status 999");
  assertLess(sent.length, 50);
});

Deno.test("the first stop signal stops in order, the second at once", async (t) => {
  const entry = new URL("../support/stops_slowly.ts", import.meta.url);
  const cases: [args: string[], signals: Deno.Signal[], code: number][] = [
    [[], ["SIGTERM"], 0],
    [[], ["SIGINT"], 0],
    [[], ["SIGHUP"], 0],
    [["--hang"], ["SIGTERM", "SIGINT"], 130],
    [["--hang"], ["SIGINT", "SIGTERM"], 143],
  ];
  for (const [args, signals, code] of cases) {
    await t.step(signals.join(", "), async () => {
      const child = new Deno.Command(Deno.execPath(), {
        args: ["run", "--quiet", "--no-prompt", "--no-check", entry.href, ...args],
        stdout: "piped",
      }).spawn();
      const lines = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
      const [first, ...rest] = signals;
      assert(first !== undefined);
      assertEquals((await lines.read()).value, "running\n");
      child.kill(first);
      assertEquals((await lines.read()).value, `${first}\n`);
      for (const signal of rest) child.kill(signal);
      assertEquals((await child.status).code, code);
      await lines.cancel();
    });
  }
});
