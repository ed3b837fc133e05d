import process from "node:process";
// @ts-types="../support/assert.d.ts"
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import fc from "fast-check";
import { display } from "../../ffi/byte_string.ts";
import type { ChannelConfig } from "../../src/gate/config/channel_config.ts";
import { type Configuration, parseConfiguration } from "../../src/gate/config/configuration.ts";
import { formatFault } from "../../src/gate/config/fault.ts";
import { renderJsonSchema, SCHEMA_FILE } from "../../src/gate/config/json_schema.ts";
import { describeChannel } from "../../src/gate/config/report.ts";

type Json = Record<string, unknown>;

const MINIMAL = { basePath: "/srv/a", producers: ["vm"] };

function verify(configuration: Json | string): Configuration {
  const text = typeof configuration === "string" ? configuration : JSON.stringify(configuration);
  return parseConfiguration(text, { unknownKeys: "fault" });
}

function onlyChannel(written: Json): ChannelConfig {
  const { channels, faults } = verify({ it: written });
  assertEquals(faults.map(formatFault), []);
  const [channel] = channels;
  assert(channel !== undefined);
  return channel;
}

function faultsOf(configuration: Json | string): string[] {
  return verify(configuration).faults.map(formatFault);
}

function warningsOf(written: Json): string[] {
  return verify({ it: written }).warnings.map(formatFault);
}

/** The names and paths of a channel as text, so that it can be compared with what was written. */
function shown(channel: ChannelConfig) {
  return {
    ...channel,
    basePath: display(channel.basePath),
    producers: channel.producers.map(display),
    diodeProducers: [...channel.diodeProducers].map(display),
    consumers: channel.consumers.map(display),
    guestNotify: {
      ...channel.guestNotify,
      guests: channel.guestNotify.guests.map((guest) =>
        guest.kind === "vsock" ? guest.cid : guest.socket
      ),
    },
  };
}

Deno.test("the documented example is a configuration without faults", () => {
  const { channels, faults } = verify({
    documents: {
      basePath: "/var/lib/virtiofs/documents",
      producers: ["chromium-vm", "office-vm"],
      consumers: ["reader-vm"],
      debounceMs: 1000,
      scanning: {
        infectedAction: "quarantine",
        permissive: false,
        ignoreFilePatterns: [".crdownload", ".part", "~$"],
        ignorePathPatterns: [".Trash-"],
      },
      notify: { guests: [10, 11], port: 3401 },
    },
  });
  assertEquals(faults, []);
  assertEquals(channels.map(shown), [{
    name: "documents",
    basePath: "/var/lib/virtiofs/documents",
    producers: ["chromium-vm", "office-vm"],
    diodeProducers: [],
    consumers: ["reader-vm"],
    debounceMs: 1000,
    conflictCopies: true,
    scanning: {
      enable: true,
      infectedAction: "quarantine",
      permissive: false,
      ignoreFilePatterns: [".crdownload", ".part", "~$"],
      ignorePathPatterns: [".Trash-"],
      oversize: "hold",
      maxFileSize: undefined,
    },
    userNotify: { enable: true, socket: "/run/clamav/notify.sock" },
    guestNotify: { guests: [10, 11], port: 3401 },
  }]);
});

Deno.test("a field that is not written has the documented, strict default", () => {
  assertEquals(shown(onlyChannel(MINIMAL)), {
    name: "it",
    basePath: "/srv/a",
    producers: ["vm"],
    diodeProducers: [],
    consumers: [],
    debounceMs: 1000,
    conflictCopies: true,
    scanning: {
      enable: true,
      infectedAction: "delete",
      permissive: false,
      ignoreFilePatterns: [],
      ignorePathPatterns: [],
      oversize: "hold",
      maxFileSize: undefined,
    },
    userNotify: { enable: true, socket: "/run/clamav/notify.sock" },
    guestNotify: { guests: [], port: 3401 },
  });
});

Deno.test("a configuration written for the existing tools works unchanged", () => {
  const channel = shown(onlyChannel({
    mode: "untrusted",
    basePath: "/persist/storagevm/shared/",
    producers: ["a", "browser", "b"],
    diodeProducers: ["browser"],
    consumers: [],
    debounceMs: 300,
    scanning: { enable: false, infectedAction: "log", permissive: true },
    userNotify: { enable: false, socket: "/run/user/1000/av.sock" },
    guestNotify: { guests: [5, 7], port: 3500 },
  }));
  assertEquals(channel.basePath, "/persist/storagevm/shared");
  assertEquals(channel.diodeProducers, ["browser"]);
  assertEquals(channel.scanning.enable, false);
  assertEquals(channel.scanning.infectedAction, "log");
  assertEquals(channel.scanning.permissive, true);
  assertEquals(channel.userNotify, { enable: false, socket: "/run/user/1000/av.sock" });
  assertEquals(channel.guestNotify, { guests: [5, 7], port: 3500 });
  assertEquals(onlyChannel({ ...MINIMAL, guestNotify: null }).guestNotify.guests, []);
});

Deno.test("either vocabulary may be used, and both where they agree", () => {
  const socket = (written: Json) => onlyChannel({ ...MINIMAL, ...written }).userNotify.socket;
  assertEquals(socket({ scanning: { notifySocket: "/run/a" } }), "/run/a");
  assertEquals(socket({ userNotify: { socket: "/run/a" } }), "/run/a");
  assertEquals(
    socket({ scanning: { notifySocket: "/run//a" }, userNotify: { socket: "/run/a" } }),
    "/run/a",
  );
  const guests = (written: Json) => shown(onlyChannel({ ...MINIMAL, ...written })).guestNotify;
  assertEquals(guests({ notify: { guests: [5] }, guestNotify: { port: 9 } }), {
    guests: [5],
    port: 9,
  });
  assertEquals(
    guests({ notify: { guests: [5, 6], port: 9 }, guestNotify: { guests: [6, 5], port: 9 } }),
    { guests: [6, 5], port: 9 },
  );
});

Deno.test("two vocabularies that disagree are a fault that names both fields", () => {
  assertEquals(
    faultsOf({
      it: {
        ...MINIMAL,
        scanning: { notifySocket: "/run/a" },
        userNotify: { socket: "/run/b" },
        notify: { guests: [5], port: 1 },
        guestNotify: { guests: [6], port: 2 },
      },
    }),
    [
      'fault: it.scanning.notifySocket: says the text "/run/a", but userNotify.socket, which is ' +
      'the same option, says the text "/run/b"; keep one of them',
      "fault: it.notify.guests: says [5], but guestNotify.guests, which is the same option, says " +
      "[6]; keep one of them",
      "fault: it.notify.port: says the number 1, but guestNotify.port, which is the same option, " +
      "says the number 2; keep one of them",
    ],
  );
});

Deno.test("each fault names channel and field, and says what belongs there", async (t) => {
  const cases: [Json, string][] = [
    [{ basePath: undefined }, "it.basePath: is missing: the channel's directory belongs here"],
    [{ basePath: 5 }, "it.basePath: expected the channel's directory, got the number 5"],
    [{ basePath: "srv" }, 'it.basePath: expected an absolute path, got the text "srv"'],
    [{ basePath: "/" }, "it.basePath: the root directory cannot be a channel"],
    [{ basePath: "/./" }, "it.basePath: the root directory cannot be a channel"],
    [{ basePath: "/a/../b" }, 'it.basePath: "/a/../b" holds ".."'],
    [{ basePath: "/a\n" }, 'it.basePath: "/a\\x0a" holds a control character'],
    [{ producers: undefined }, "it.producers: is missing: a list of VM names belongs here"],
    [{ producers: "vm" }, 'it.producers: expected a list of VM names, got the text "vm"'],
    [{ producers: [] }, "it.producers: is empty"],
    [{ producers: ["a", "a"] }, 'it.producers: "a" is listed twice'],
    [{ producers: ["a/b"] }, 'it.producers[0]: "a/b" holds "/"'],
    [{ producers: ["a", ".."] }, 'it.producers[1]: ".." is no name for a directory'],
    [{ producers: [""] }, "it.producers[0]: a VM's name is empty"],
    [{ producers: ["x".repeat(256)] }, "is longer than 255 bytes"],
    [{ producers: ["ä".repeat(128)] }, "is longer than 255 bytes"],
    [{ producers: ["a\x1b[2J"] }, 'it.producers[0]: "a\\x1b[2J" holds a control character'],
    [{ producers: ["a\0b"] }, 'it.producers[0]: "a\\x00b" holds a control character'],
    [{ producers: ["\ud800"] }, "is not valid Unicode"],
    [{ producers: [null] }, "it.producers[0]: expected a VM's name, got null"],
    [{ consumers: ["vm"] }, 'it.consumers[0]: "vm" is a producer already'],
    [{ diodeProducers: ["x"] }, 'it.diodeProducers[0]: "x" is not among the producers'],
    [{ debounceMs: "1000" }, "it.debounceMs: expected a whole number of milliseconds from 0 to"],
    [{ debounceMs: 1.5 }, "got the number 1.5"],
    [{ debounceMs: -1 }, "got the number -1"],
    [{ debounceMs: 1e9 }, "got the number 1000000000"],
    [{ conflictCopies: "yes" }, 'it.conflictCopies: expected true or false, got the text "yes"'],
    [{ scanning: true }, "it.scanning: expected an object with the scanning options, got true"],
    [
      { scanning: { infectedAction: "qarantine" } },
      'it.scanning.infectedAction: expected "log", "delete" or "quarantine", got the text ' +
      '"qarantine"; did you mean "quarantine"?',
    ],
    [{ scanning: { infectedAction: "remove" } }, 'got the text "remove"'],
    [{ scanning: { permissive: 1 } }, "it.scanning.permissive: expected true or false"],
    [{ scanning: { oversize: "drop" } }, 'it.scanning.oversize: expected "hold" or "allow"'],
    [{ scanning: { maxFileSize: 0 } }, "it.scanning.maxFileSize: expected a whole number of bytes"],
    [{ scanning: { maxFileSize: 1e300 } }, "it.scanning.maxFileSize: expected a whole number"],
    [{ scanning: { ignoreFilePatterns: ".part" } }, "expected a list of patterns"],
    [{ scanning: { ignoreFilePatterns: [""] } }, "it.scanning.ignoreFilePatterns[0]: would ignore"],
    [{ scanning: { ignorePathPatterns: ["**/*"] } }, "it.scanning.ignorePathPatterns[0]: would"],
    [{ scanning: { ignorePathPatterns: ["[a"] } }, '"[" without "]"'],
    [{ scanning: { notifySocket: "sock" } }, "it.scanning.notifySocket: expected an absolute path"],
    [{ userNotify: { socket: `/${"x".repeat(107)}` } }, "is too long for a socket"],
    [{ userNotify: { socket: "/run/" } }, 'it.userNotify.socket: "/run/" names a directory'],
    [{ userNotify: { enable: null } }, "it.userNotify.enable: expected true or false, got null"],
    [{ notify: { guests: 5 } }, "it.notify.guests: expected a list of CIDs, got the number 5"],
    [{ notify: { guests: [2] } }, "it.notify.guests[0]: CID 2 is the host, not a guest"],
    [{ notify: { guests: [0] } }, "it.notify.guests[0]: 0 is no guest's CID"],
    [{ notify: { guests: [0xffffffff] } }, "is no guest's CID (3 to 4294967294)"],
    [
      { notify: { guests: [true] } },
      "expected a CID (a number) or the absolute path of a hybrid-vsock socket",
    ],
    [
      { guestNotify: { guests: ["a.sock"] } },
      "it.guestNotify.guests[0]: expected a CID (a number) or the absolute path of a hybrid-vsock socket, got the text",
    ],
    [{ guestNotify: { port: 0 } }, "it.guestNotify.port: expected a vsock port from 1"],
    [{ mode: 5 }, "it.mode: expected a text"],
  ];
  for (const [written, expected] of cases) {
    await t.step(JSON.stringify(written).slice(0, 60), () => {
      const faults = faultsOf({ it: { ...MINIMAL, ...written } });
      assertEquals(faults.length, 1);
      assertStringIncludes(faults[0] ?? "", expected);
      assert(!/[\p{Cc}\p{Zl}]|undefined|invalid_|Invalid|Error/u.test(faults[0] ?? ""), faults[0]);
    });
  }
});

Deno.test("a consumer that is a producer too is a fault, and keeps no channel from running", () => {
  const { channels, faults } = verify({ it: { ...MINIMAL, consumers: MINIMAL.producers } });
  assertEquals([channels.length, faults.length], [1, 1]);
});

Deno.test("I7: a channel with a fault is left out, and touches no other", () => {
  const good = { basePath: "/srv/good", producers: ["vm"] };
  for (const bad of [null, 5, "x", [], {}, { ...MINIMAL, producers: [] }, { basePath: {} }]) {
    const { channels, faults } = verify({ a: good, bad, z: { ...good, basePath: "/srv/z" } });
    assertEquals(channels.map(({ name }) => name), ["a", "z"]);
    assert(faults.length > 0 && faults.every(({ channel }) => channel === "bad"));
  }
});

Deno.test("a text that is no configuration at all is one fault, with its place", () => {
  assertEquals(faultsOf(""), [
    "fault: is not JSON: line 1, column 1: expected a value, found the end of the text",
  ]);
  assertEquals(faultsOf('{"a": {},\n}'), [
    'fault: is not JSON: line 2, column 1: expected a name in double quotes (or "}"), found "}" ' +
    '(remove the "," before it)',
  ]);
  for (const [text, found] of [["[]", "an empty list"], ["null", "null"], ["7", "the number 7"]]) {
    assertEquals(faultsOf(text ?? ""), [
      `fault: expected an object with a key for each channel, got ${found}`,
    ]);
  }
  assertEquals(faultsOf("{}"), ["fault: holds no channel"]);
});

Deno.test("an unknown key is named, with what may have been meant", () => {
  const written = {
    ...MINIMAL,
    basepath: "/x",
    permissive: true,
    colour: 1,
    scanning: { permisive: true, debounceMs: 5 },
    notify: { cids: [5] },
  };
  const keys = [
    "it.basepath: is no option of a channel; did you mean basePath?",
    "it.permissive: is no option of a channel; did you mean scanning.permissive?",
    "it.colour: is no option of a channel; remove it",
    "it.scanning.permisive: is no option of a channel; did you mean scanning.permissive?",
    "it.scanning.debounceMs: is no option of a channel; did you mean debounceMs?",
    "it.notify.cids: is no option of a channel; remove it",
  ];
  assertEquals(faultsOf({ it: written }), keys.map((text) => `fault: ${text}`));
  const run = parseConfiguration(JSON.stringify({ it: written }), { unknownKeys: "warning" });
  assertEquals(run.faults, []);
  assertEquals(run.warnings.map(formatFault).slice(0, 6), keys.map((text) => `warning: ${text}`));
  // The defaults that apply instead are the strict ones.
  assertEquals(run.channels.map(({ scanning }) => scanning.permissive), [false]);
});

Deno.test("names that mean something to JavaScript do no harm", () => {
  const text = '{"__proto__": {"basePath": "/a", "producers": ["vm"]}, ' +
    '"constructor": {"basePath": "/b", "producers": ["vm"], "__proto__": {"permissive": true}}}';
  const { channels, faults } = verify(text);
  assertEquals(channels.map(({ name }) => name), ["__proto__", "constructor"]);
  assertEquals(faults.map(formatFault), [
    "fault: constructor.__proto__: is no option of a channel; remove it",
  ]);
  assertEquals(Reflect.get({}, "permissive"), undefined);
});

Deno.test("a key written twice is a fault, not silently the last of them", async (t) => {
  await t.step("a channel: the first stands", () => {
    const { channels, faults } = verify(
      '{"a": {"basePath": "/a", "producers": ["vm"]},\n "a": {"basePath": "/b", "producers": ["vm"]}}',
    );
    assertEquals(channels.map(({ basePath }) => display(basePath)), ["/a"]);
    assertEquals(faults.map(formatFault), [
      "fault: a: is there a second time (line 2, column 2); the first one stands, rename or " +
      "remove this one",
    ]);
  });
  await t.step("a field: the channel is left out, since either may be meant", () => {
    const { channels, faults } = verify(
      '{"a": {"basePath": "/a", "producers": ["vm"], "scanning": {"enable": true, "enable": false}}}',
    );
    assertEquals(channels, []);
    assertEquals(faults.map(formatFault), [
      "fault: a.scanning.enable: is there a second time (line 1, column 76); remove one of them",
    ]);
  });
});

Deno.test("channels whose directories overlap: the first in the text stands", () => {
  const at = (basePath: string) => ({ basePath, producers: ["vm"] });
  const { channels, faults } = verify({
    a: at("/srv/a"),
    same: at("/srv//./a/"),
    inside: at("/srv/a/share/b"),
    around: at("/srv"),
    beside: at("/srv/ab"),
  });
  assertEquals(channels.map(({ name }) => name), ["a", "beside"]);
  assertEquals(faults.map(formatFault), [
    "fault: same.basePath: /srv/a is the directory of the channel a already",
    "fault: inside.basePath: /srv/a/share/b lies in /srv/a, the directory of the channel a",
    "fault: around.basePath: /srv holds /srv/a, the directory of the channel a",
  ]);
});

Deno.test("I6: ten times as many channels take about ten times as long to read", () => {
  // Of the processor: others may have it meanwhile.
  const microseconds = (count: number) => {
    const text = JSON.stringify(
      Object.fromEntries(
        Array.from({ length: count }, (_, i) => [`c${i}`, { ...MINIMAL, basePath: `/srv/${i}` }]),
      ),
    );
    const begin = process.cpuUsage();
    assertEquals(parseConfiguration(text, { unknownKeys: "fault" }).channels.length, count);
    const { user, system } = process.cpuUsage(begin); // the kernel knows their sum only
    return user + system;
  };
  microseconds(100); // compiles what is hot
  const few = Math.min(...[1, 2, 3].map(() => microseconds(100)));
  const many = Math.min(...[1, 2].map(() => microseconds(1000)));
  assert(many < 40 * few, `${many} µs for 1,000, ${few} µs for 100`);
});

Deno.test("a channel left out for another fault does not stand in the way", () => {
  const { channels } = verify({
    a: { basePath: "/srv/a", producers: [] },
    b: { basePath: "/srv/a", producers: ["vm"] },
  });
  assertEquals(channels.map(({ name }) => name), ["b"]);
});

Deno.test("I2: a socket that a guest could replace is a fault", () => {
  const inShare = { userNotify: { socket: "/srv/a/share/vm/s" } };
  assertEquals(faultsOf({ a: { ...MINIMAL, ...inShare } }), [
    "fault: a.userNotify.socket: the socket /srv/a/share/vm/s lies in a share of the channel a; " +
    "move it elsewhere",
  ]);
  assertEquals(
    faultsOf({
      a: MINIMAL,
      b: { ...MINIMAL, basePath: "/srv/b", notify: { guests: ["/srv/a/share/x"] } },
    }).length,
    1,
  );
  assertEquals(
    faultsOf({ b: { ...MINIMAL, basePath: "/srv/b", ...inShare }, a: MINIMAL }).length,
    1,
  );
});

Deno.test("a channel's name fits on a line that guests get", () => {
  const named = (name: string) => faultsOf({ [name]: MINIMAL });
  assertEquals(named("Ä b"), []);
  assertEquals(named("x".repeat(255)), []);
  assertStringIncludes(named("x".repeat(256))[0] ?? "", "is longer than 255 bytes (256)");
  assertStringIncludes(named("ä".repeat(128))[0] ?? "", "is longer than 255 bytes (256)");
  assertEquals(named("a\nb"), ["fault: a\\x0ab: the channel's name holds a control character"]);
  assertStringIncludes(named("")[0] ?? "", "a channel's name is empty");
  assertStringIncludes(named("\u2028")[0] ?? "", "holds a control character");
});

Deno.test("CID 1, the machine itself, and hybrid-vsock sockets can be notified", () => {
  assertEquals(
    shown(onlyChannel({ ...MINIMAL, notify: { guests: [1, 3, "/run/vm.sock", 3] } })).guestNotify
      .guests,
    [1, 3, "/run/vm.sock"],
  );
});

Deno.test("what will surprise is a warning, what is usual is none", () => {
  assertEquals(warningsOf({ ...MINIMAL, producers: ["a", "b"] }), []);
  assertEquals(warningsOf({ ...MINIMAL, consumers: ["c"] }), []);
  assertEquals(warningsOf({ ...MINIMAL, producers: ["a", "b"], diodeProducers: ["b"] }), []);
  const nobody =
    "warning: it.consumers: is empty, and no other producer receives: files reach export/ only";
  assertEquals(warningsOf(MINIMAL), [nobody]);
  assertEquals(warningsOf({ ...MINIMAL, diodeProducers: ["vm"] }), [nobody]);
  const others = { ...MINIMAL, consumers: ["c"] };
  assertStringIncludes(
    warningsOf({ ...others, scanning: { ignoreFilePatterns: ["~$", ".part"] } })[0] ?? "",
    'it.scanning.ignoreFilePatterns[1]: ".part" matches anywhere, also in "report.part1.rar"',
  );
  assertStringIncludes(warningsOf({ ...others, debounceMs: 0 })[0] ?? "", "it.debounceMs: 0 looks");
  assertStringIncludes(warningsOf({ ...others, mode: "trusted" })[0] ?? "", "it.mode:");
  assertEquals(warningsOf({ ...others, mode: "trusted", scanning: { enable: false } }), []);
  assertStringIncludes(
    warningsOf({ ...others, notify: { guests: [5, 5] } })[0] ?? "",
    "it.notify.guests[1]: 5 is listed already",
  );
});

Deno.test("$schema is for editors", () => {
  const { channels, faults } = verify({ $schema: "./channels.schema.json", it: MINIMAL });
  assertEquals(channels.map(({ name }) => name), ["it"]);
  assertEquals(faults, []);
});

Deno.test("whatever the text, the answer is channels and lines, never an exception (I9)", () => {
  const key = fc.constantFrom(
    "a",
    "basePath",
    "producers",
    "scanning",
    "notify",
    "guestNotify",
    "userNotify",
    "guests",
    "port",
    "socket",
    "infectedAction",
    "ignoreFilePatterns",
    "consumers",
    "mode",
    "\n",
    "__proto__",
  );
  const leaf = fc.oneof(
    fc.string(),
    fc.double(),
    fc.boolean(),
    fc.constant(null),
    fc.constant("/srv"),
  );
  const { tree } = fc.letrec((tie) => ({
    tree: fc.oneof({ maxDepth: 4 }, leaf, tie("list"), tie("object")),
    list: fc.array(tie("tree"), { maxLength: 3 }),
    object: fc.dictionary(key, tie("tree"), { maxKeys: 6 }),
  }));
  const channel = fc.dictionary(key, tree, { maxKeys: 8 })
    .map((fields) => ({ ...MINIMAL, ...fields }));
  fc.assert(fc.property(fc.oneof(tree, fc.dictionary(fc.string(), channel)), (value) => {
    const { channels, faults, warnings } = verify(JSON.stringify(value));
    for (const line of [...faults, ...warnings].map(formatFault)) {
      assert(!/[\p{Cc}\p{Zl}\p{Zp}]/u.test(line), JSON.stringify(line));
    }
    for (const each of channels) {
      const lines = describeChannel(each).split("\n");
      assert(lines.every((line) => !/[\p{Cc}\p{Zl}\p{Zp}]/u.test(line)), lines.join("|"));
    }
  }));
});

Deno.test("--verbose says what each channel will do, in words", () => {
  const text = describeChannel(onlyChannel({
    basePath: "/srv/a",
    producers: ["a", "b"],
    diodeProducers: ["b"],
    consumers: ["c"],
    scanning: { infectedAction: "quarantine", ignoreFilePatterns: ["~$"], maxFileSize: 1 << 20 },
    notify: { guests: [7, "/run/vm.sock"] },
  }));
  assertEquals(
    text,
    `it
  directory             /srv/a
  producers             a, b
  of these, diodes      b (they give and never receive)
  consumers             c
  quiet before a look   1000 ms
  conflicts             the later version wins, the other is kept beside it
  scanning              on
  infected files        do not travel, are moved to /srv/a/quarantine, and are reported
  files not scanned     wait where they are until the scanner answers
  files too large       stay where they are
  size limit            1 MiB
  ignored names         "~$"
  ignored paths         none
  messages to the user  to /run/clamav/notify.sock
  guests notified       CID 7, /run/vm.sock at port 3401`,
  );
  const risky = describeChannel(onlyChannel({
    ...MINIMAL,
    conflictCopies: false,
    scanning: { infectedAction: "log", permissive: true, oversize: "allow" },
    userNotify: { enable: false },
  }));
  for (
    const expected of [
      "is LOST (conflictCopies is off)",
      "STAY in their author's share",
      "travel UNSCANNED when the scanner fails (permissive)",
      "travel UNSCANNED (oversize: allow)",
      "what clamd scans",
      "messages to the user  off",
      "guests notified       none",
    ]
  ) assertStringIncludes(risky, expected);
  const trusted = describeChannel(onlyChannel({ ...MINIMAL, scanning: { enable: false } }));
  assertStringIncludes(trusted, "OFF: every file counts as clean and travels");
});

Deno.test("the checked-in JSON Schema is the one of this source", async () => {
  assertEquals(
    await Deno.readTextFile(SCHEMA_FILE),
    renderJsonSchema(),
    "docs/channels.schema.json is out of date: run `deno task schema`",
  );
});
