/**
 * The limit of a flow: what two cores could do at most if each byte cost the sum of its stages and nothing
 * else, with the client on the same cores. Two sums are made from the same run's rates: of the pure stages
 * (what an ideal program would reach) and of the verbs of the door (what this program would reach if nothing
 * were lost between them).
 */
import { type BenchResult, nanosecondsPerByte } from './report.js';

export const CORE_COUNT = 2;
/** A look-up takes some 40 ns a chunk of 20 KB; it is not a stage of its own. */
const LOOKUP_NANOSECONDS_PER_BYTE = 0.002;

/** Nanoseconds of one core for each byte. */
export interface FlowCost {
  readonly known: number;
  /** What a byte that nobody has costs on top. */
  readonly unknown: number;
  readonly restored: number;
}

export interface Budget {
  readonly stages?: FlowCost;
  readonly verbs?: FlowCost;
}

type CostOf = (name: string, parameter?: string) => number;

class MissingStage extends Error {}

function costs(results: readonly BenchResult[]): CostOf {
  return (name, parameter) => {
    const found = results.find(
      result =>
        result.name === name &&
        (parameter === undefined || Object.values(result.parameters).includes(parameter)),
    );
    if (found === undefined) throw new MissingStage(name);
    return nanosecondsPerByte(found);
  };
}

/** The fastest back end is the one that is used. */
function chunkCost(results: readonly BenchResult[]): number {
  const backends = results.filter(result => /^native-chunk-(portable|sse|avx)/.test(result.name));
  if (backends.length === 0) throw new MissingStage('native-chunk');
  return Math.min(...backends.map(nanosecondsPerByte));
}

function stageCosts(results: readonly BenchResult[], storedShare: number): FlowCost {
  const cost = costs(results);
  const transport = cost('loopback') + cost('slab-copy');
  const fingerprint = cost('native-fingerprint');
  return {
    known: transport + chunkCost(results) + fingerprint + cost('native-xxh3') + LOOKUP_NANOSECONDS_PER_BYTE,
    unknown:
      cost('native-lz4-compress') +
      cost('native-lz4-decompress') +
      storedShare * (cost('native-seal') + cost('file-write-direct')),
    restored:
      cost('loopback') +
      fingerprint +
      cost('native-lz4-decompress') +
      storedShare * (cost('native-unseal') + cost('file-read-cached')),
  };
}

function verbCosts(results: readonly BenchResult[]): FlowCost {
  const cost = costs(results);
  return {
    known: cost('loopback') + cost('slab-copy') + cost('prepare-known'),
    unknown: cost('store-records', 'fast'),
    restored: cost('loopback') + cost('read-rows') + cost('read-records', 'fast'),
  };
}

function orAbsent(compute: () => FlowCost): FlowCost | undefined {
  try {
    return compute();
  } catch (thrown) {
    if (thrown instanceof MissingStage) return undefined;
    throw thrown;
  }
}

/** `storedShare`: stored bytes for each plain byte of new data. A sum with a missing stage is absent. */
export function budgetOf(results: readonly BenchResult[], storedShare: number): Budget {
  const stages = orAbsent(() => stageCosts(results, storedShare));
  const verbs = orAbsent(() => verbCosts(results));
  return { ...(stages === undefined ? {} : { stages }), ...(verbs === undefined ? {} : { verbs }) };
}

/** Bytes a second of an ingest of which this share is new. */
export function ingestLimit(cost: FlowCost, newShare: number): number {
  return (CORE_COUNT * 1e9) / (cost.known + newShare * cost.unknown);
}

export function restoreLimit(cost: FlowCost): number {
  return (CORE_COUNT * 1e9) / cost.restored;
}
