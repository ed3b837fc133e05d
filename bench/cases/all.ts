import type { Case } from "../case.ts";
import { burst, burstManySignatures, burstUnscanned } from "./burst.ts";
import { singleFile } from "./single_file.ts";

export const CASES: readonly Case[] = [
  singleFile,
  burst,
  burstManySignatures,
  burstUnscanned,
];
