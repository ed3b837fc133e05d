/** The units of the other three programs under a real systemd: they do their work in their sandboxes. */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals, assertRejects } from "@std/assert";
import { EICAR } from "../support/eicar.ts";
import { REPOSITORY } from "../support/gate.ts";
import { testOnMachine, USER } from "../support/machine.ts";
import { Guest, instream } from "../support/stream_peer.ts";
import { UserSocket } from "../support/user_socket.ts";
import { waitFor } from "../support/wait.ts";

const VPROXY = "clamd-vproxy.service";
const VCLIENT = `clamd-vclient@${USER}.service`;
const NOTIFY = `virtiofs-notify@${USER}.service`;

const NOTIFY_SOCKET = "/run/user/1000/clamav-notify.sock";

/** There is no vsock device on every machine: hybrid-vsock sockets stand in for it. */
const service = (...lines: readonly string[]) => ({
  "test.conf": ["[Service]", ...lines, ""].join("\n"),
});

const CLAMDS = {
  "the usual clamd": "",
  "another clamd": "--clamd /run/clamav/other.ctl",
};

for (const [which, options] of Object.entries(CLAMDS)) {
  testOnMachine(`I8: clamd-vproxy scans for a guest in its sandbox, with ${which}`, VPROXY, {
    [VPROXY]: service(
      `Environment="OPTIONS=--uds /run/clamd-vproxy/guest ${options}"`,
      "RuntimeDirectory=clamd-vproxy",
    ),
  }, async (machine) => {
    await machine.shell("ln -s clamd.ctl /run/clamav/other.ctl");
    await machine.systemd.systemctl("start", VPROXY);
    const socket = machine.outside("/run/clamd-vproxy/guest_3400");
    const ask = async (request: Uint8Array<ArrayBuffer>) => {
      using guest = await Guest.connect(socket);
      await guest.send(request);
      return await guest.answer();
    };
    assertEquals(await ask(instream(new Uint8Array(100_000))), "stream: OK\0");
    assertEquals(await ask(instream(EICAR)), "stream: Test.Eicar.UNOFFICIAL FOUND\0");
    await machine.systemd.systemctl("stop", VPROXY);
    assertEquals(await machine.systemd.property(VPROXY, "Result"), "success");
  });
}

const WATCH = service(
  `Environment="OPTIONS=--watch /home/${USER}/Downloads --socket"`,
  `BindPaths=/home/${USER}/Downloads`,
);

for (const unit of [VCLIENT, "clamd-vclient.service"]) {
  testOnMachine(`I8: ${unit} removes malware in its sandbox`, unit, { [unit]: WATCH }, async (
    machine,
  ) => {
    await machine.systemd.systemctl("start", unit);
    const downloads = machine.outside(`/home/${USER}/Downloads`);
    // Owned before they arrive: the scanner is quick.
    await Deno.writeFile(machine.outside(`/home/${USER}/game.exe`), EICAR);
    await Deno.writeTextFile(machine.outside(`/home/${USER}/letter.txt`), "Dear Bob");
    await machine.shell(
      `cd /home/${USER} && chown ${USER}: game.exe letter.txt && mv game.exe letter.txt Downloads/`,
    );
    await waitFor("malware is removed", async () => !(await names(downloads)).includes("game.exe"));
    await waitFor("the user is told", () => machine.user.lines.some((line) => /game/.test(line)));
    assertEquals(await names(downloads), ["letter.txt"]);
    await machine.systemd.systemctl("stop", unit);
    assertEquals(await machine.systemd.property(unit, "Result"), "success");
  });
}

/** The drop-in in docs/debian.md that holds `what`. */
async function documentedDropIn(what: string): Promise<string> {
  const text = await Deno.readTextFile(`${REPOSITORY}docs/debian.md`);
  const dropIns = [...text.matchAll(/^```ini\n([^`]*)^```$/gm)].map(([, dropIn = ""]) => dropIn);
  const dropIn = dropIns.find((dropIn) => dropIn.includes(what));
  assert(dropIn !== undefined, what);
  return dropIn;
}

testOnMachine("clamd-vproxy serves the guests of another user at a hybrid-vsock socket", VPROXY, {
  [VPROXY]: { "guests.conf": (await documentedDropIn("--uds")).replace("=microvm", `=${USER}`) },
}, async (machine) => {
  const folder = "/var/lib/microvms/office-vm";
  await machine.shell(`install -d -o ${USER} -m 700 ${folder}`);
  await machine.systemd.systemctl("start", VPROXY);
  using guest = await Guest.connect(machine.outside(`${folder}/vsock.sock_3400`));
  await guest.send(instream(EICAR));
  assertEquals(await guest.answer(), "stream: Test.Eicar.UNOFFICIAL FOUND\0");
  assertEquals(await machine.shell(`stat --format=%U ${folder}/vsock.sock_3400`), USER);
});

testOnMachine("clamd-vproxy says that its sandbox closes a socket's folder", VPROXY, {
  [VPROXY]: service('Environment="OPTIONS=--uds /var/lib/microvms/vsock.sock"'),
}, async (machine) => {
  await machine.shell("install -d -m 777 /var/lib/microvms");
  await assertRejects(
    () => machine.systemd.systemctl("start", VPROXY),
    Error,
    "its folder is read-only; a service may write there if its unit names it in ReadWritePaths=",
  );
});

for (const unit of [VCLIENT, "clamd-vclient.service"]) {
  testOnMachine(`${unit} tells a user on a socket in /run/user`, unit, {
    [unit]: {
      ...service(
        `Environment="OPTIONS=--watch '/home/${USER}/My Downloads' --socket --notify-socket ${NOTIFY_SOCKET}"`,
        `BindPaths="/home/${USER}/My Downloads"`,
      ),
      "user.conf": await documentedDropIn("user-runtime-dir"),
    },
  }, async (machine) => {
    const downloads = `/home/${USER}/My Downloads`;
    await machine.shell(`
      install -d -o ${USER} '${downloads}'
      install -d -o ${USER} -m 700 /run/user/1000
    `);
    await machine.systemd.systemctl("start", unit);
    // Who logs in later listens later.
    await using user = UserSocket.listen(machine.outside(NOTIFY_SOCKET));
    await Deno.chmod(user.path, 0o666);
    await Deno.writeFile(machine.outside(`/home/${USER}/game.exe`), EICAR);
    await machine.shell(`cd /home/${USER}; chown ${USER} game.exe; mv game.exe '${downloads}'`);
    await waitFor("the user is told", () => user.lines.some((line) => /game/.test(line)));
    // What is told first takes a moment.
    await waitFor(
      "it is gone",
      async () => (await names(machine.outside(downloads))).length === 0,
    );
  });
}

testOnMachine(
  "I8: virtiofs-notify refreshes a user's folder in its sandbox",
  NOTIFY,
  {
    [NOTIFY]: service(
      `Environment="OPTIONS=--map docs=/home/${USER}/docs --uds /run/virtiofs-notify/host"`,
      `BindPaths=/home/${USER}/docs`,
      "RuntimeDirectory=virtiofs-notify",
    ),
  },
  async (machine) => {
    await machine.systemd.systemctl("start", NOTIFY);
    using host = await Guest.connect(machine.outside("/run/virtiofs-notify/host_3401"));
    await host.send("CONNECT 3401\ndocs\n");
    await host.endSending();
    const docs = machine.outside(`/home/${USER}/docs`);
    await waitFor("the folder is refreshed", async () => (await names(docs)).length > 0);
    assertEquals(await names(docs), [".virtiofs-refresh"]);
    await machine.systemd.systemctl("stop", NOTIFY);
    assertEquals(await machine.systemd.property(NOTIFY, "Result"), "success");
  },
);

/** The drop-in of docs/debian.md for a share of the user's. */
async function mappedShare(): Promise<string> {
  const text = await Deno.readTextFile(`${REPOSITORY}docs/debian.md`);
  const [, dropIn] = /^```ini\n([^`]*--map documents=[^`]*)^```$/m.exec(text) ?? [];
  assert(dropIn !== undefined);
  return dropIn.replaceAll("/home/alice/documents", `/home/${USER}/docs`);
}

testOnMachine(
  "virtiofs-notify refreshes a share that is mounted while the machine starts",
  NOTIFY,
  {
    [NOTIFY]: {
      "mapped.conf": await mappedShare(),
      // There is no vsock device on every machine.
      ...service(
        `Environment="OPTIONS=--map docs=/home/${USER}/docs --uds /run/virtiofs-notify/host"`,
        "RuntimeDirectory=virtiofs-notify",
      ),
    },
  },
  async (machine) => {
    const docs = `/home/${USER}/docs`;
    const mount = await machine.shell(`systemd-escape --path --suffix=mount ${docs}`);
    // As from a line with "nofail" in /etc/fstab, for which no target waits; the host takes its time.
    await machine.shell(`
      printf '[Unit]\nDefaultDependencies=no\n[Service]\nType=oneshot\nExecStart=sleep 2\n' \
        > /etc/systemd/system/slow.service
      printf '[Unit]\nRequires=slow.service\nAfter=slow.service\n[Mount]\nWhat=tmpfs\nType=tmpfs\nWhere=%s\nOptions=mode=777\n' \
        ${docs} > '/etc/systemd/system/${mount}'
      systemctl daemon-reload
      systemctl start --no-block '${mount}'
    `);
    await machine.systemd.systemctl("start", NOTIFY);
    using host = await Guest.connect(machine.outside("/run/virtiofs-notify/host_3401"));
    await waitFor(
      "the share is mounted",
      async () => await machine.systemd.property(mount, "ActiveState") === "active",
    );
    await host.send("docs\n");
    await host.endSending();
    await host.answer();
    assertEquals(await names(machine.outside(docs)), [".virtiofs-refresh"]);
  },
);

async function names(path: string): Promise<string[]> {
  return (await Array.fromAsync(Deno.readDir(path))).map(({ name }) => name).sort();
}
