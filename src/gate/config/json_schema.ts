/**
 * The JSON Schema of the configuration, for editors and other tools. Run as a program it writes
 * docs/channels.schema.json (`deno task schema`).
 */

import { z } from "zod";
import { DOCUMENT } from "./schema.ts";

export const SCHEMA_FILE = new URL("../../../docs/channels.schema.json", import.meta.url);

/** The text of the checked-in file. */
export function renderJsonSchema(): string {
  return `${JSON.stringify(z.toJSONSchema(DOCUMENT, { io: "input" }), null, 2)}\n`;
}

if (import.meta.main) Deno.writeTextFileSync(SCHEMA_FILE, renderJsonSchema());
