/**
 * The progress of a transfer on standard error, when that is a terminal: bytes, rate, and with a known size a
 * bar and the time that is left. Elsewhere (a pipe, a log) nothing is drawn.
 */
import { SingleBar } from 'cli-progress';
import type { Clock } from '../base/clock.js';
import { PROGRESS_INTERVAL_MS } from '../base/limits.js';
import { formatSize } from '../base/units.js';

export interface Progress {
  add(bytes: number): void;
  stop(): void;
}

const SILENT: Progress = { add: () => undefined, stop: () => undefined };

export interface ProgressOptions {
  readonly label: string;
  readonly size?: number;
  readonly clock: Clock;
  readonly stream: NodeJS.WriteStream;
}

export function startProgress({ label, size, clock, stream }: ProgressOptions): Progress {
  if (!stream.isTTY) return SILENT;
  const started = clock.monotonicMs();
  let done = 0;
  const bar = new SingleBar({
    stream,
    format: (_options, parameters) => {
      const seconds = Math.max((clock.monotonicMs() - started) / 1000, 0.001);
      return progressLine(label, parameters.value, size, seconds, stream.columns ?? 80);
    },
    fps: 1000 / PROGRESS_INTERVAL_MS,
    hideCursor: true,
    clearOnComplete: true,
    stopOnComplete: false,
    noTTYOutput: false,
  });
  bar.start(size ?? 0, 0);
  return {
    add(bytes) {
      done += bytes;
      bar.update(done);
    },
    stop: () => bar.stop(),
  };
}

/**
 * `vm/disk.img [#####-----] 50.0 % 1.00 GiB of 2.00 GiB 512.00 MiB/s 2 s left`, cut to the terminal's width.
 */
export function progressLine(
  label: string,
  done: number,
  size: number | undefined,
  seconds: number,
  columns: number,
): string {
  const rate = done / seconds;
  const rateText = `${formatSize(Math.round(rate))}/s`;
  if (size === undefined || size === 0) return `${label}  ${formatSize(done)}  ${rateText}`.slice(0, columns);
  const share = Math.min(done / size, 1);
  const filled = Math.round(share * BAR_WIDTH);
  const bar = `[${'#'.repeat(filled)}${'-'.repeat(BAR_WIDTH - filled)}]`;
  const left = rate > 0 ? `${formatDuration((size - done) / rate)} left` : '';
  const of = `${formatSize(done)} of ${formatSize(size)}`;
  return `${label}  ${bar}  ${(share * 100).toFixed(1)} %  ${of}  ${rateText}  ${left}`.slice(0, columns);
}

const BAR_WIDTH = 20;

/** `4 s`, `3 min 20 s`, `2 h 05 min`. */
export function formatDuration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes} min ${whole % 60} s`;
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, '0')} min`;
}
