/**
 * The progress of a transfer on standard error, when that is a terminal: bytes, rate, with a known size a bar
 * and the time that is left, and for a put what it saves. Elsewhere (a pipe, a log) nothing is drawn.
 */
import { SingleBar } from 'cli-progress';
import type { Clock } from '../base/clock.js';
import { PROGRESS_INTERVAL_MS } from '../base/limits.js';
import { formatSize } from '../base/units.js';

export interface Progress {
  /** Is anything drawn? */
  readonly isShown: boolean;
  add(bytes: number): void;
  /** What deduplication and compression save so far. */
  saving(percent: number): void;
  stop(): void;
}

const SILENT: Progress = {
  isShown: false,
  add: () => undefined,
  saving: () => undefined,
  stop: () => undefined,
};

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
  let saved: number | undefined;
  const bar = new SingleBar({
    stream,
    format: (_options, parameters) => {
      const seconds = Math.max((clock.monotonicMs() - started) / 1000, 0.001);
      const state = { done: parameters.value, size, seconds, saved };
      return progressLine(label, state, stream.columns ?? 80);
    },
    fps: 1000 / PROGRESS_INTERVAL_MS,
    hideCursor: true,
    clearOnComplete: true,
    stopOnComplete: false,
    noTTYOutput: false,
  });
  bar.start(size ?? 0, 0);
  return {
    isShown: true,
    add(bytes) {
      done += bytes;
      bar.update(done);
    },
    saving(percent) {
      saved = percent;
    },
    stop: () => bar.stop(),
  };
}

export interface TransferState {
  readonly done: number;
  /** Absent: not known before the end. */
  readonly size?: number | undefined;
  readonly seconds: number;
  /** Per cent; absent: not known, or a get. */
  readonly saved?: number | undefined;
}

/**
 * `vm/disk.img  [#####-----]  50.0 %  1.00 GiB of 2.00 GiB  512.00 MiB/s  2 s left  saved 71 %`. On a narrow
 * terminal the bar goes first, then the name's end; the figures stay.
 */
export function progressLine(label: string, state: TransferState, columns: number): string {
  const { done, size, seconds, saved } = state;
  const rate = done / seconds;
  const facts = [
    ...(size === undefined || size === 0 ? [formatSize(done)] : sizeFacts(done, size)),
    `${formatSize(Math.round(rate))}/s`,
    ...(size !== undefined && size > 0 && rate > 0 ? [`${formatDuration((size - done) / rate)} left`] : []),
    ...(saved === undefined ? [] : [`saved ${Math.trunc(saved)} %`]),
  ].join('  ');
  const barred = size === undefined || size === 0 ? facts : `${barOf(done / size)}  ${facts}`;
  const room = columns - Math.min(label.length, LABEL_WIDTH) - 2;
  const text = barred.length <= room ? barred : facts;
  const labelRoom = Math.max(columns - text.length - 2, 1);
  const name = label.length <= labelRoom ? label : `${label.slice(0, labelRoom - 1)}…`;
  return `${name}  ${text}`.slice(0, columns);
}

function sizeFacts(done: number, size: number): string[] {
  return [`${(Math.min(done / size, 1) * 100).toFixed(1)} %`, `${formatSize(done)} of ${formatSize(size)}`];
}

function barOf(share: number): string {
  const filled = Math.round(Math.min(share, 1) * BAR_WIDTH);
  return `[${'#'.repeat(filled)}${'-'.repeat(BAR_WIDTH - filled)}]`;
}

const BAR_WIDTH = 20;
/** So much of the name is worth more than the bar. */
const LABEL_WIDTH = 20;

/** `4 s`, `3 min 20 s`, `2 h 05 min`. */
export function formatDuration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes} min ${whole % 60} s`;
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, '0')} min`;
}
