/** A program that logs a few lines. */

import { configureLogging, logger } from "../../src/logging/logging.ts";

configureLogging({ debug: Deno.args.includes("--debug") });
logger("gate", "watcher").debug("only for debugging");
logger("gate", "watcher").info("watching {path} in {shares} shares", { path: "a\nb", shares: 3 });
logger("gate").error("failed: {error}", { error: new Error("no space") });
