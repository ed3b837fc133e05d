/**
 * Runs INSIDE a virtual machine of tests/vm: all four programs over real AF_VSOCK. There, and only there, the
 * context ids 1 and 2 lead to programs of ours.
 */

// @ts-types="../../support/assert.d.ts"
import { assert, assertEquals, assertGreater, assertLess, assertMatch } from "@std/assert";
import { Connection } from "../../../ffi/connection.ts";
import { Reactor } from "../../../ffi/reactor.ts";
import { VMADDR_CID_HOST, VMADDR_CID_LOCAL } from "../../../ffi/socket.ts";
import { Clamd } from "../../support/clamd.ts";
import { Daemon } from "../../support/daemon.ts";
import { clean, EICAR } from "../../support/eicar.ts";
import { instream } from "../../support/stream_peer.ts";
import { scratchDirectory } from "../../support/scratch.ts";
import { waitFor } from "../../support/wait.ts";
import { World } from "../../support/world.ts";
import { MACHINE_MARK } from "../support/virtual_machine.ts";

if (!Deno.readTextFileSync("/proc/cmdline").includes(MACHINE_MARK)) {
  throw new Error("this belongs into a virtual machine of tests/vm");
}

const VPROXY_PORT = 3400;
const PATIENCE_MS = 60_000;

const reactor = new Reactor();

/** Sends a request to the proxy over vsock; everything that comes back. */
async function ask(request: Uint8Array<ArrayBuffer> | string): Promise<string> {
  const address = { family: "vsock", cid: VMADDR_CID_HOST, port: VPROXY_PORT } as const;
  using connection = await Connection.connect(reactor, address, PATIENCE_MS);
  const bytes = typeof request === "string" ? new TextEncoder().encode(request) : request;
  // A refusal may come, and the connection go, before everything is sent.
  const sending = connection.write(bytes, PATIENCE_MS).catch(() => {});
  let answer = "";
  const buffer = new Uint8Array(4096);
  for (;;) {
    const count = await connection.read(buffer, PATIENCE_MS);
    if (count === 0) break;
    answer += new TextDecoder().decode(buffer.subarray(0, count));
  }
  await sending;
  return answer.replace(/[\0\n]$/, "");
}

const AF_VSOCK = 40;
const SO_VM_SOCKETS_BUFFER_SIZE = 0;
const SO_VM_SOCKETS_BUFFER_MIN_SIZE = 1;
const libc = Deno.dlopen("libc.so.6", {
  setsockopt: { parameters: ["i32", "i32", "i32", "buffer", "u32"], result: "i32" },
});

/** Asks for a scan of nothing, and has no room for the answer (vsock(7)); `undefined` if it is refused before. */
async function askDeafly(): Promise<Connection | undefined> {
  const address = { family: "vsock", cid: VMADDR_CID_HOST, port: VPROXY_PORT } as const;
  const connection = await Connection.connect(reactor, address, PATIENCE_MS);
  try {
    // Linux sends nothing from a socket without room of its own, so it goes afterwards: clamd takes longer.
    await connection.write(instream(new Uint8Array(0)), PATIENCE_MS);
    for (const option of [SO_VM_SOCKETS_BUFFER_MIN_SIZE, SO_VM_SOCKETS_BUFFER_SIZE]) {
      libc.symbols.setsockopt(connection.socket.fd, AF_VSOCK, option, new Uint8Array(8), 8);
    }
    return connection;
  } catch {
    connection.close();
    return undefined;
  }
}

function exists(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch {
    return false;
  }
}

Deno.test({
  name: "AF_VSOCK",
  sanitizeOps: false,
  sanitizeResources: false,
  fn: async (t) => {
    await using clamd = await Clamd.start();
    let vproxy = await Daemon.start("vproxy", ["--clamd", clamd.socket]);

    await t.step(
      "vproxy: PING, clean and infected streams, with the peer's CID in the log",
      async () => {
        assertEquals(await ask("zPING\0"), "PONG");
        assertEquals(await ask(instream(clean(1, 300_000))), "stream: OK");
        assertMatch(await ask(instream(EICAR)), /^stream: .*Eicar.* FOUND$/);
        await vproxy.logged(/\b(CID|cid|guest) ?\d/);
      },
    );

    await t.step("vproxy: refused commands never reach clamd", async () => {
      for (const command of ["zSHUTDOWN\0", "nSCAN /etc/passwd\n", "zPING\0zPING\0", "zping\0"]) {
        assertEquals(await ask(command), "ERROR: Command not allowed");
      }
      assertEquals(await ask("zPING\0"), "PONG");
    });

    await t.step(
      "vproxy: a flood is refused in words, and others are served afterwards",
      async () => {
        const address = { family: "vsock", cid: VMADDR_CID_HOST, port: VPROXY_PORT } as const;
        const silent: Connection[] = [];
        for (let i = 0; i < 4; i++) {
          silent.push(await Connection.connect(reactor, address, PATIENCE_MS));
        }
        const answers = await Promise.all(
          Array.from({ length: 20 }, () => ask("zPING\0").catch(String)),
        );
        assert(
          answers.every((answer) => answer.includes("Too many connections")),
          answers.join("; "),
        );
        for (const connection of silent) connection.close();
        await waitFor("it serves again", async () => await ask("zPING\0") === "PONG");
      },
    );

    await t.step(
      "I6: vproxy: answers that a guest does not take hold few connections",
      async () => {
        const before = vproxy.descriptors();
        const deaf: Connection[] = [];
        let most = 0;
        const endMs = performance.now() + 10_000;
        const lane = async () => {
          while (performance.now() < endMs) {
            const connection = await askDeafly();
            if (connection !== undefined) deaf.push(connection);
            most = Math.max(most, vproxy.descriptors() - before);
          }
        };
        await Promise.all([1, 2, 3, 4].map(lane));
        assertGreater(deaf.length, 100);
        assertLess(most, 32 + 4 * 2 + 8);
        for (const connection of deaf) connection.close();
        await waitFor("it serves again", async () => await ask("zPING\0") === "PONG");
      },
    );

    const downloads = scratchDirectory("downloads");
    await t.step("vclient: with its defaults, over vsock to the host", async () => {
      const vclient = await Daemon.start("vclient", ["--watch", downloads]);
      await using _ = vclient;
      await Deno.writeFile(`${downloads}/clean`, clean(2, 100_000));
      await Deno.mkdir(`${downloads}/a/b/c`, { recursive: true });
      await Deno.writeFile(`${downloads}/a/b/c/bad`, EICAR);
      await waitFor("the infected file is gone", () => !exists(`${downloads}/a/b/c/bad`));
      assert(exists(`${downloads}/clean`));

      // The proxy ends in the middle, and comes back.
      assertEquals(await vproxy.stop(), 0);
      await Deno.writeFile(`${downloads}/late`, EICAR);
      await vclient.logged(/late.*could not be scanned|could not be scanned.*late|Scan error/i);
      assert(exists(`${downloads}/late`));
      vproxy = await Daemon.start("vproxy", ["--clamd", clamd.socket]);
      await waitFor(
        "what could not be scanned was scanned again",
        () => !exists(`${downloads}/late`),
      );
      assertEquals(await vclient.stop(), 0);
    });

    await t.step(
      "vproxy: a stream that it does not finish gets an answer or an end, never silence",
      async () => {
        const address = { family: "vsock", cid: VMADDR_CID_HOST, port: VPROXY_PORT } as const;
        using connection = await Connection.connect(reactor, address, PATIENCE_MS);
        await connection.write(instream(clean(3, 200_000)).subarray(0, 100_000), PATIENCE_MS);
        await vproxy.stop();
        const buffer = new Uint8Array(4096);
        const count = await connection.read(buffer, PATIENCE_MS).catch(() => 0);
        const answer = new TextDecoder().decode(buffer.subarray(0, count));
        assert(answer === "" || answer.startsWith("ERROR"), answer);
        vproxy = await Daemon.start("vproxy", ["--clamd", clamd.socket]);
        assertEquals(await ask("zPING\0"), "PONG");
      },
    );

    await t.step("gate and notify: a published file refreshes the guest's view", async () => {
      const view = scratchDirectory("view");
      const map = ["--map", `docs=${view}`, "--allow-cid", String(VMADDR_CID_LOCAL)];
      await using notify = await Daemon.start("notify", [...map, "--debug"]);
      await using world = await World.start("xfs", {
        channels: { docs: { more: { notify: { guests: [VMADDR_CID_LOCAL], port: 3401 } } } },
      });
      await world.only.share("ann").write("letter", "hello");
      await waitFor("the trigger was toggled", () => exists(`${view}/.virtiofs-refresh`));
      await waitFor("export has it", () => world.only.export.has("letter"));
      assertEquals(await notify.stop(), 0);
    });
    await vproxy[Symbol.asyncDispose]();
    await reactor.stop();
  },
});
