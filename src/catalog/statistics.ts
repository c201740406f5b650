/**
 * Bytes as they came, as they are distinct, and as they are stored; for groups and the system, and for
 * containers.
 */
import { savingsPercent } from '../base/units.js';
import type { EngineCounters } from '../native/binding.js';
import type { Totals } from './totals.js';
import type { ByteStatistics } from './types.js';

interface Sums {
  readonly logicalBytes: number;
  readonly uniqueBytes: number;
  readonly storedBytes: number;
  readonly files: number;
  readonly chunks: number;
  readonly dataStores: number;
  readonly binFiles: number;
  readonly binBytes: number;
}

/** Versions in recycle bins, counted apart: their bytes are logical ones. */
function binSums({ files, logicalBytes }: Totals): Pick<Sums, 'binFiles' | 'binBytes'> {
  return { binFiles: files, binBytes: logicalBytes };
}

/** Of a group: files from the catalog, bytes from the engine. Stored bytes include the blockmaps. */
export function groupSums(totals: Totals, binTotals: Totals, counters: EngineCounters): Sums {
  return {
    logicalBytes: totals.logicalBytes,
    uniqueBytes: counters.plainBytes,
    storedBytes: counters.storedBytes + counters.blockmapStoredBytes,
    files: totals.files,
    chunks: counters.chunkCount,
    dataStores: counters.dataStoreCount,
    ...binSums(binTotals),
  };
}

/** Of a container, or one file: what its files brought first, though others may share it by now. */
export function containerSums(totals: Totals, binTotals: Totals): Sums {
  return {
    logicalBytes: totals.logicalBytes,
    uniqueBytes: totals.newBytes,
    storedBytes: totals.storedBytes,
    files: totals.files,
    chunks: totals.chunks,
    dataStores: 0,
    ...binSums(binTotals),
  };
}

export function addSums(sums: readonly Sums[]): Sums {
  const add = (field: keyof Sums): number => sums.reduce((sum, each) => sum + each[field], 0);
  return {
    logicalBytes: add('logicalBytes'),
    uniqueBytes: add('uniqueBytes'),
    storedBytes: add('storedBytes'),
    files: add('files'),
    chunks: add('chunks'),
    dataStores: add('dataStores'),
    binFiles: add('binFiles'),
    binBytes: add('binBytes'),
  };
}

/**
 * Savings are never negative: after deletes, bytes that wait for the cleaner may be more than those of the
 * files.
 */
export function byteStatistics(sums: Sums): ByteStatistics {
  const { logicalBytes, uniqueBytes, storedBytes } = sums;
  const percent = (whole: number, part: number): number => Math.max(0, savingsPercent(whole, part));
  return {
    ...sums,
    dedupSavedBytes: Math.max(0, logicalBytes - uniqueBytes),
    compressionSavedBytes: Math.max(0, uniqueBytes - storedBytes),
    dedupSavingsPercent: percent(logicalBytes, uniqueBytes),
    compressionSavingsPercent: percent(uniqueBytes, storedBytes),
    savingsPercent: percent(logicalBytes, storedBytes),
  };
}
