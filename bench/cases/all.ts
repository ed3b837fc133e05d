import type { Case } from "../case.ts";
import { arming } from "./arming.ts";
import { burst, burstManySignatures, burstUnscanned } from "./burst.ts";
import { largeFile } from "./large_file.ts";
import { smallBesideFlood, smallBesideLarge } from "./neighbours.ts";
import { idleCost, memoryGrowth } from "./resources.ts";
import { singleFile } from "./single_file.ts";
import { startup } from "./startup.ts";
import { tinyFiles } from "./tiny_files.ts";

export const CASES: readonly Case[] = [
  singleFile,
  burst,
  burstManySignatures,
  burstUnscanned,
  smallBesideLarge,
  smallBesideFlood,
  tinyFiles,
  startup,
  arming,
  largeFile,
  idleCost,
  memoryGrowth,
];
