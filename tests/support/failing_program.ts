/** A program that fails in a way that nobody catches. */

import "../../src/command_line/last_resort.ts"; // before what may fail
import { defineProgram } from "../../src/command_line/definition.ts";
import { optionsOrExit } from "../../src/command_line/start.ts";

const { way } = optionsOrExit(defineProgram({
  name: "failing-program",
  summary: "fail",
  options: { way: { kind: "text", value: "WAY", required: true, help: "how it fails" } },
}));

const failure = new Error("first\x1b\nsecond");
switch (way) {
  case "later":
    await new Promise((end) => setTimeout(end, 1));
    throw failure;
  case "in a timer":
    setTimeout(() => {
      throw failure;
    }, 1);
    break;
  case "unawaited":
    Promise.reject(failure);
    break;
  default:
    throw failure;
}
