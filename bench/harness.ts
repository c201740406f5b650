/**
 * Benchmark.js around one stage: it calls, times and repeats; we take the median of its samples, the CPU time
 * and the peak of memory. Every bench is a deferred one, since only those are called exactly once a sample,
 * so that a stage which uses up its input can be given a new one between samples (`prepare`, not timed).
 */
import { readFileSync, writeFileSync } from 'node:fs';
import Benchmark from 'benchmark';
import { type BenchResult, median } from './report.js';

export interface StageBench {
  readonly name: string;
  readonly parameters: BenchResult['parameters'];
  /** Of one run. */
  readonly bytes: number;
  /** Operations of one run, where they count more than bytes. */
  readonly operations?: number;
  /** Before every run, not timed. */
  readonly prepare?: () => void;
  readonly run: () => void | Promise<void>;
  /** Hash of what the last run gave. */
  readonly hash: () => string;
}

export interface HarnessParameters {
  /** Benchmark.js goes on until both are reached. */
  readonly samplesMin: number;
  readonly secondsMax: number;
}

export const HARNESS_REAL: HarnessParameters = { samplesMin: 5, secondsMax: 2 };
export const HARNESS_SMALL: HarnessParameters = { samplesMin: 3, secondsMax: 0.1 };

/** Below the clock's own error a second call would be made in one sample; no stage is that short. */
const MIN_TIME_SECONDS = 1e-7;

/** Peak of this process's memory since the last reset; 0 where /proc does not say. */
export function peakMemory(pid: number | 'self'): number {
  try {
    const match = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
    return match === null ? 0 : Number(match[1]) * 1024;
  } catch {
    return 0;
  }
}

/** Starts the peak anew; where the kernel does not let us, it stays that of the whole life. */
export function resetPeakMemory(pid: number | 'self'): boolean {
  try {
    writeFileSync(`/proc/${pid}/clear_refs`, '5');
    return true;
  } catch {
    return false;
  }
}

function cpuSecondsOfThisProcess(): number {
  const usage = process.cpuUsage();
  return (usage.user + usage.system) / 1e6;
}

/** Runs a bench to its end. Rejects with what its `prepare` or `run` has thrown. */
export function measure(bench: StageBench, parameters: HarnessParameters): Promise<BenchResult> {
  resetPeakMemory('self');
  const cpuSamples: number[] = [];
  let failure: unknown;
  const runOnce = async (deferred: Benchmark.Deferred): Promise<void> => {
    const cpuBefore = cpuSecondsOfThisProcess();
    try {
      const pending = bench.run();
      // Awaiting nothing would add a turn of the event loop to a synchronous stage.
      if (pending !== undefined) await pending;
    } catch (thrown) {
      failure ??= thrown;
    }
    cpuSamples.push(cpuSecondsOfThisProcess() - cpuBefore);
    deferred.resolve();
  };
  return new Promise((resolve, reject) => {
    const prepare = () => {
      try {
        if (failure === undefined) bench.prepare?.();
      } catch (thrown) {
        failure = thrown;
      }
      if (failure !== undefined) harness.abort();
    };
    const harness = new Benchmark(bench.name, {
      defer: true,
      async: true,
      initCount: 1,
      minTime: MIN_TIME_SECONDS,
      minSamples: parameters.samplesMin,
      maxTime: parameters.secondsMax,
      fn: (deferred: Benchmark.Deferred) => void runOnce(deferred),
      onCycle: prepare,
      onComplete: () => {
        if (failure !== undefined) reject(failure);
        else resolve(resultOf(bench, harness.stats.sample, cpuSamples));
      },
    });
    prepare();
    if (failure !== undefined) reject(failure);
    else harness.run({ async: true });
  });
}

function resultOf(bench: StageBench, samples: readonly number[], cpuSamples: readonly number[]): BenchResult {
  const seconds = median(samples);
  return {
    name: bench.name,
    parameters: bench.parameters,
    bytes: bench.bytes,
    seconds,
    rate: bench.bytes / seconds,
    cpuSeconds: median(cpuSamples),
    ...(bench.operations === undefined ? {} : { operations: bench.operations }),
    peakBytes: peakMemory('self'),
    hash: bench.hash(),
    runs: samples.length,
  };
}
