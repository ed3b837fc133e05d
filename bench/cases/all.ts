import type { Case } from "../case.ts";
import { arming } from "./arming.ts";
import { burst, burstManySignatures, burstUnscanned } from "./burst.ts";
import { singleFile } from "./single_file.ts";
import { startup } from "./startup.ts";

export const CASES: readonly Case[] = [
  singleFile,
  burst,
  burstManySignatures,
  burstUnscanned,
  startup,
  arming,
];
