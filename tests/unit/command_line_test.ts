// @ts-types="../support/assert.d.ts"
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import fc from "fast-check";
import { defineProgram, longName, type OptionValues } from "../../src/command_line/definition.ts";
import { EXIT_CODES } from "../../src/command_line/exit_codes.ts";
import { parseBytes, showBytes } from "../../src/command_line/option_value.ts";
import { readInvocation, readOptions } from "../../src/command_line/parse.ts";
import { closest, editDistance } from "../../src/command_line/suggestion.ts";
import { GATE } from "../../src/gate/options.ts";

const PROGRAM = defineProgram({
  name: "example",
  summary: "an example",
  options: {
    watch: {
      kind: "text",
      short: "w",
      value: "DIR",
      repeatable: true,
      required: true,
      help: "directories",
    },
    exclude: { kind: "text", short: "e", value: "DIR", repeatable: true, help: "not these" },
    port: { kind: "number", short: "p", value: "N", min: 1, max: 100, default: 7, help: "port" },
    allowCid: {
      kind: "number",
      value: "CID",
      min: 0,
      max: 9,
      repeatable: true,
      default: [2],
      help: "peers",
    },
    maxSize: {
      kind: "bytes",
      value: "SIZE",
      min: 1,
      max: 2 ** 40,
      default: 2 ** 31,
      help: "limit",
    },
    action: {
      kind: "choice",
      short: "a",
      value: "WHAT",
      choices: ["log", "delete"],
      default: "delete",
      help: "what to do",
    },
    directory: { kind: "text", value: "DIR", help: "a directory" },
    debug: { kind: "flag", short: "d", help: "talk" },
    noScan: { kind: "flag", help: "do not scan" },
  },
});

function read(...args: string[]) {
  return readOptions(PROGRAM, args, "1.2.3");
}

function values(...args: string[]): OptionValues<typeof PROGRAM["options"]> {
  const reading = read(...args);
  if (reading.kind !== "run") throw new Error(JSON.stringify(reading));
  return reading.value;
}

function problem(...args: string[]): string {
  const reading = read(...args);
  if (reading.kind !== "usage") throw new Error(JSON.stringify(reading));
  assertEquals(reading.message.split("\n").length, 1);
  assertStringIncludes(reading.message, `(see "example --help")`);
  return reading.message.replace("example: ", "").replace(` (see "example --help")`, "");
}

Deno.test("options have the values of their definition's defaults unless they are given", () => {
  assertEquals(values("-w", "/a"), {
    watch: ["/a"],
    exclude: [],
    port: 7,
    allowCid: [2],
    maxSize: 2 ** 31,
    action: "delete",
    directory: undefined,
    debug: false,
    noScan: false,
  });
});

Deno.test("the types of the values follow from the definition", () => {
  const options = values("-w", "/a");
  const first: string = options.watch[0]; // required and repeatable: never empty
  const action: "log" | "delete" = options.action;
  const directory: string | undefined = options.directory;
  // @ts-expect-error without a default it may be missing
  const certain: string = options.directory;
  assertEquals([first, action, directory, certain], ["/a", "delete", undefined, undefined]);
});

Deno.test("every way to write an option is understood", async (t) => {
  const ways: [string[], Partial<OptionValues<typeof PROGRAM["options"]>>][] = [
    [["--watch", "/b"], { watch: ["/a", "/b"] }],
    [["--watch=/b", "-w/c", "-w=/d"], { watch: ["/a", "/b", "/c", "/d"] }],
    [["-whelp.json"], { watch: ["/a", "help.json"] }],
    [["--directory=-odd=name"], { directory: "-odd=name" }],
    [["-p", "9"], { port: 9 }],
    [["-p9"], { port: 9 }],
    [["-dp", "9"], { port: 9, debug: true }],
    [["--no-scan", "--debug"], { noScan: true, debug: true }],
    [["--allow-cid", "3", "--allow-cid=4"], { allowCid: [3, 4] }],
    [["--max-size", "25M"], { maxSize: 25 * 1024 ** 2 }],
    [["-a", "log"], { action: "log" }],
  ];
  for (const [args, expected] of ways) {
    await t.step(args.join(" "), () => {
      assertEquals(values("-w", "/a", ...args), { ...values("-w", "/a"), ...expected });
    });
  }
});

Deno.test("each mistake is named in one line that says what to do", async (t) => {
  const mistakes: [string[], string][] = [
    [[], "--watch DIR is required"],
    [["--wathc", "/a"], "unknown option --wathc; did you mean --watch?"],
    [["-w", "/a", "-x"], "unknown option -x"],
    [["-w", "/a", "--no-debug"], "unknown option --no-debug"],
    [["-w"], `--watch needs a value: DIR (one that begins with "-" goes behind "=")`],
    [["-w", "--debug"], `--watch needs a value: DIR (one that begins with "-" goes behind "=")`],
    [["-w", "/a", "--directory="], "--directory needs a value: DIR"],
    [["-w", "/a", "--port", "0"], `--port needs a whole number from 1 to 100, got "0"`],
    [["-w", "/a", "--port", "101"], `--port needs a whole number from 1 to 100, got "101"`],
    [["-w", "/a", "--port", "1.5"], `--port needs a whole number from 1 to 100, got "1.5"`],
    [["-w", "/a", "--port", "1e1"], `--port needs a whole number from 1 to 100, got "1e1"`],
    [["-w", "/a", "-p", "1", "-p", "2"], "--port is given more than once"],
    [
      ["-w", "/a", "--max-size", "0"],
      "needs a number of bytes (such as 512K, 25M, 2G) from 1 byte to 1 TiB",
    ],
    [["-w", "/a", "-a", "delte"], `needs one of log, delete, got "delte"; did you mean delete?`],
    [["-w", "/a", "--debug=yes"], "--debug takes no value"],
    [["-w", "/a", "--debug", "false"], "--debug takes no value"],
    [["-w", "/a", "-d=1"], "--debug takes no value"],
    [["-w", "/a", "/b"], "unexpected argument /b"],
    [["-w", "/a", ""], 'unexpected argument ""'],
    [["-w", ""], "--watch needs a value: DIR"],
    [["--watch", "", "-w", "/a"], "--watch needs a value: DIR"],
    [["-w", "/a", "--", "-b"], "unexpected argument -b"],
    [["-w", "/a", "--__proto__=1"], "unknown option --__proto__"],
    [["-w", "/a", "\x1b[2J"], "unexpected argument \\x1b[2J"],
  ];
  for (const [args, expected] of mistakes) {
    await t.step(`${args.join(" ")}`.replaceAll("\x1b", "ESC"), () => {
      assertStringIncludes(problem(...args), expected);
    });
  }
});

Deno.test("--help shows every option, its default and the exit codes, in 80 columns", () => {
  const help = read("--help");
  assert(help.kind === "print");
  const unwrapped = help.text.replaceAll(/\s+/g, " ");
  for (const [key, option] of Object.entries(PROGRAM.options)) {
    assertStringIncludes(help.text, longName(key));
    assertStringIncludes(help.text, option.help);
  }
  assertStringIncludes(unwrapped, "Usage: example --watch DIR [OPTIONS]");
  assertStringIncludes(unwrapped, "[default: 2 GiB]");
  assertStringIncludes(unwrapped, "[may be given several times; required]");
  for (const { code, meaning } of Object.values(EXIT_CODES)) {
    assertStringIncludes(help.text, `  ${code}   ${meaning}`);
  }
  assert(help.text.endsWith("\n"));
  for (const line of help.text.split("\n")) assert(line.length <= 80, line);
});

Deno.test("--help and --version win over mistakes beside them", () => {
  assertEquals(read("--nonsense", "-h").kind, "print");
  assertEquals(read("--nonsense", "-V"), { kind: "print", text: "example 1.2.3\n" });
});

Deno.test("whatever the arguments are, the answer is a value, a text or one line (I9)", () => {
  const word = fc.oneof(
    fc.constantFrom(
      "--watch",
      "-w",
      "--debug",
      "-d",
      "--port=3",
      "--",
      "-",
      "",
      "true",
      "-wd",
      "a=b",
    ),
    fc.string(),
    fc.string().map((text) => `--${text}`),
    fc.string().map((text) => `-${text}`),
  );
  fc.assert(fc.property(fc.array(word, { maxLength: 6 }), (args) => {
    const reading = read(...args);
    if (reading.kind === "usage") assert(!/[\p{Cc}\p{Zl}\p{Zp}]/u.test(reading.message));
    if (reading.kind === "run") assert(reading.value.watch.length > 0);
  }));
});

Deno.test("a text behind `=` arrives unchanged, whatever it holds", () => {
  fc.assert(fc.property(fc.string({ minLength: 1 }), (text) => {
    assertEquals(values("-w=/a", `--directory=${text}`).directory, text);
  }));
});

Deno.test("the gate's command names what to do", async (t) => {
  const gate = (...args: string[]) => readInvocation(GATE, args, "1.2.3");
  await t.step("run has the documented defaults", () => {
    assertEquals(gate("run", "--config", "/c.json"), {
      kind: "run",
      value: {
        command: "run",
        options: {
          config: "/c.json",
          debug: false,
          noScan: false,
          clamdSocket: "/var/run/clamav/clamd.ctl",
          clamdConfig: "/etc/clamav/clamd.conf",
          scanConcurrency: undefined,
        },
      },
    });
  });
  await t.step("a path that no socket can have is a mistake", () => {
    const path = `/${"é".repeat(54)}`;
    const reading = gate("run", "-c", "/c.json", "--clamd-socket", path);
    assertEquals(reading.kind, "usage");
    assertStringIncludes(
      reading.kind === "usage" ? reading.message : "",
      `--clamd-socket needs the path of a socket, at most 107 bytes, got 109: "${path}"`,
    );
  });
  await t.step("verify takes its own options", () => {
    assertEquals(gate("verify", "-c", "/c.json", "-v", "--offline"), {
      kind: "run",
      value: {
        command: "verify",
        options: {
          config: "/c.json",
          verbose: true,
          offline: true,
          clamdConfig: "/etc/clamav/clamd.conf",
          debug: false,
        },
      },
    });
    const mistake = gate("verify", "-c", "/c.json", "--no-scan");
    assertEquals(mistake, {
      kind: "usage",
      message: `virtiofs-gate verify: unknown option --no-scan (see "virtiofs-gate verify --help")`,
    });
  });
  await t.step("no command, a wrong one, options before it", () => {
    for (
      const [args, expected] of [
        [[], "say what to do: run or verify"],
        [["rnu"], "unknown command rnu; did you mean run?"],
        [["constructor"], "unknown command constructor; use run or verify"],
        [["--debug", "run"], "options go behind the command: run or verify"],
      ] as const
    ) {
      const reading = gate(...args);
      assert(reading.kind === "usage");
      assertStringIncludes(reading.message, expected);
    }
  });
  await t.step("help and version", () => {
    for (const args of [["--help"], ["-h"], ["help"], ["run", "-h"], ["verify", "--help"]]) {
      const reading = gate(...args);
      assert(reading.kind === "print");
      assertStringIncludes(reading.text, "Usage: virtiofs-gate");
      for (const line of reading.text.split("\n")) assert(line.length <= 80, line);
    }
    assertEquals(gate("-V"), { kind: "print", text: "virtiofs-gate 1.2.3\n" });
    assertEquals(gate("run", "--version"), { kind: "print", text: "virtiofs-gate 1.2.3\n" });
  });
});

Deno.test("no two options of a command share a letter", () => {
  for (const { options } of [PROGRAM, ...Object.values(GATE.commands)]) {
    const letters = Object.values(options).flatMap((option) =>
      "short" in option ? [option.short] : []
    );
    assertEquals(new Set([...letters, "h", "V"]).size, letters.length + 2);
  }
});

Deno.test("sizes are read exactly and shown in their shortest exact form", () => {
  assertEquals(["25M", "25MiB", "26214400", "1k", "7b"].map(parseBytes), [
    25 << 20,
    25 << 20,
    25 << 20,
    1024,
    7,
  ]);
  for (const text of ["", "M", "-1", "1.5M", "1MB", "0x10", "1 M", "9999999T"]) {
    assertEquals(parseBytes(text), undefined, text);
  }
  assertEquals(showBytes(1), "1 byte");
  assertEquals([0, 1000, 1024, 25 << 20, 2 ** 31].map(showBytes), [
    "0 bytes",
    "1000 bytes",
    "1 KiB",
    "25 MiB",
    "2 GiB",
  ]);
  fc.assert(fc.property(fc.maxSafeNat(), (bytes) => {
    assertEquals(parseBytes(showBytes(bytes).replace(/ (bytes?)?/, "")), bytes);
  }));
});

Deno.test("a suggestion is a slip of the fingers away, or there is none", () => {
  const names = ["permissive", "infectedAction", "port"];
  assertEquals(closest("permisive", names), "permissive");
  assertEquals(closest("prot", names), "port");
  assertEquals(closest("infectedaction", names), "infectedAction");
  assertEquals(closest("colour", names), undefined);
  assertEquals(closest("x".repeat(100_000), names), undefined);
  assertEquals(closest("x", []), undefined);
});

Deno.test("the edit distance is a distance", () => {
  const word = fc.string({ maxLength: 8, unit: fc.constantFrom("a", "b", "c") });
  assertEquals(editDistance("abc", "acb"), 1);
  assertEquals(editDistance("kitten", "sitting"), 3);
  fc.assert(fc.property(word, word, (from, to) => {
    const distance = editDistance(from, to);
    assertEquals(distance === 0, from === to);
    assertEquals(distance, editDistance(to, from));
    assert(distance <= Math.max(from.length, to.length));
    assert(distance >= Math.abs(from.length - to.length));
  }));
});

Deno.test("what nobody foresaw ends a program with one line and the documented code", async () => {
  const entry = new URL("../support/failing_program.ts", import.meta.url);
  for (const way of ["at once", "later", "in a timer", "unawaited"]) {
    const output = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--quiet", "--no-prompt", "--no-check", entry.href, "--way", way],
    }).output();
    const said = new TextDecoder().decode(output.stderr);
    assertEquals([output.code, said.trimEnd().split("\n").length], [3, 1], said);
    assertStringIncludes(said, "a failure that nobody foresaw: Error: first\\x1b | second | at ");
  }
});

Deno.test("a reader that has gone is no failure, a disk that is full is told in words", async () => {
  const entry = new URL("../support/gate_command_line.ts", import.meta.url).pathname;
  const gate = `${Deno.execPath()} run --quiet --no-prompt --no-check ${entry} run --help`;
  const outcome = async (command: string) => {
    const output = await new Deno.Command("bash", {
      args: ["-c", `set -o pipefail; ${gate} ${command}`],
    }).output();
    return [output.code, new TextDecoder().decode(output.stderr)];
  };
  assertEquals(await outcome("| true"), [0, ""]);
  const [code, said] = await outcome("> /dev/full");
  assertEquals(code, 3);
  assertMatch(String(said), /^cannot write to standard output: No space left on device.*\n$/);
});

Deno.test("the program prints help to stdout and mistakes to stderr, with the documented codes", async () => {
  const entry = new URL("../support/gate_command_line.ts", import.meta.url);
  for (
    const [args, code, stdout, stderr] of [
      [["run", "-c", "x"], 0, "run", ""],
      [["run", "--help"], 0, "Usage: virtiofs-gate run --config FILE", ""],
      [["run"], 2, "", "virtiofs-gate run: --config FILE is required"],
    ] as const
  ) {
    const output = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--quiet", "--no-prompt", "--no-check", entry.href, ...args],
    }).output();
    const out = new TextDecoder().decode(output.stdout);
    const err = new TextDecoder().decode(output.stderr);
    assertEquals(output.code, code);
    assertStringIncludes(out, stdout);
    assertStringIncludes(err, stderr);
    assertEquals([out === "", err === ""], [stdout === "", stderr === ""]);
  }
});
