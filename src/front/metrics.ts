/**
 * What Prometheus may scrape: requests, bytes, what dedup saved, and each group's statistics at the moment of
 * asking.
 */
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { ByteStatistics, Catalog, FileRecord, GroupInfo } from '../catalog/types.js';
import type { Cleaners } from '../cleaner/cleaners.js';
import type { ScrubAccess, ScrubFigures } from './context.js';

/** Bytes as they pass. */
export interface Traffic {
  received(bytes: number): void;
  sent(bytes: number): void;
  stored(file: FileRecord): void;
}

const GROUP_GAUGES: Readonly<Record<string, keyof ByteStatistics>> = {
  logical_bytes: 'logicalBytes',
  unique_bytes: 'uniqueBytes',
  stored_bytes: 'storedBytes',
  files: 'files',
  chunks: 'chunks',
  data_stores: 'dataStores',
  bin_files: 'binFiles',
  bin_bytes: 'binBytes',
};
const SCRUB_GAUGES: Readonly<Record<string, Exclude<keyof ScrubFigures, 'group'>>> = {
  read_bytes: 'bytesRead',
  read_files: 'filesRead',
  round_percent: 'roundPercent',
  unread_data_stores: 'unreadDataStores',
  quarantined_chunks: 'quarantinedChunks',
  healed_chunks: 'healedChunks',
  repaired_chunks: 'repairedChunks',
  lost_chunks: 'lostChunks',
  damaged_files: 'damagedFiles',
};
const SECONDS = [0.001, 0.005, 0.025, 0.1, 0.5, 2, 10, 60, 600];

export class FrontMetrics implements Traffic {
  readonly #registry = new Registry();
  readonly #requests: Counter;
  readonly #seconds: Histogram;
  readonly #bytesIn: Counter;
  readonly #bytesOut: Counter;
  readonly #newBytes: Counter;
  readonly #storedBytes: Counter;
  readonly #savedBytes: Counter;
  readonly #refreshGroups: () => Promise<void>;

  constructor(catalog: Catalog, flows: { cleaner: Pick<Cleaners, 'status'>; scrub: ScrubAccess }) {
    const registers = [this.#registry];
    const counter = (name: string, help: string) => new Counter({ name: `granary_${name}`, help, registers });
    this.#requests = new Counter({
      ...{ name: 'granary_front_requests_total', help: 'Requests answered.' },
      ...{ labelNames: ['route', 'status'], registers },
    });
    this.#seconds = new Histogram({
      ...{ name: 'granary_front_request_seconds', help: 'Time from head to the end of the answer.' },
      ...{ labelNames: ['route'], buckets: SECONDS, registers },
    });
    this.#bytesIn = counter('front_received_bytes_total', 'Bytes of files received.');
    this.#bytesOut = counter('front_sent_bytes_total', 'Bytes of files sent.');
    this.#newBytes = counter('ingest_new_bytes_total', 'Bytes of chunks that were new.');
    this.#storedBytes = counter('ingest_stored_bytes_total', 'Bytes that new chunks took in data stores.');
    this.#savedBytes = counter('ingest_dedup_saved_bytes_total', 'Bytes that were known already.');
    const refreshes = [
      groupGauges(catalog, this.#registry),
      cleanerGauges(flows.cleaner, this.#registry),
      scrubGauges(flows.scrub, this.#registry),
    ];
    this.#refreshGroups = async () => {
      for (const refresh of refreshes) await refresh();
    };
  }

  received(bytes: number): void {
    this.#bytesIn.inc(bytes);
  }

  sent(bytes: number): void {
    this.#bytesOut.inc(bytes);
  }

  stored(file: FileRecord): void {
    this.#newBytes.inc(file.newBytes);
    this.#storedBytes.inc(file.storedBytes);
    this.#savedBytes.inc(Math.max(0, file.size - file.newBytes));
  }

  observe(route: string, status: number, seconds: number): void {
    this.#requests.inc({ route, status });
    this.#seconds.observe({ route }, seconds);
  }

  async text(): Promise<{ type: string; text: string }> {
    await this.#refreshGroups();
    return { type: this.#registry.contentType, text: await this.#registry.metrics() };
  }
}

/** What a group is at the moment of asking; the result brings the gauges up to date. */
function groupGauges(catalog: Catalog, registry: Registry): () => Promise<void> {
  const parts = { labelNames: ['group'], registers: [registry] };
  const usable = new Gauge({ name: 'granary_group_usable', help: '1: open; 0: locked or failed.', ...parts });
  const gauges = Object.entries(GROUP_GAUGES).map(([name, field]) => {
    const help = `Of the storage group: ${field}.`;
    return [field, new Gauge({ name: `granary_group_${name}`, help, ...parts })] as const;
  });
  const refresh = async ({ name: group, isLocked, failure }: GroupInfo) => {
    const isUsable = !isLocked && failure === undefined;
    usable.set({ group }, isUsable ? 1 : 0);
    if (!isUsable) return;
    const values = await catalog.statistics({ group });
    for (const [field, gauge] of gauges) gauge.set({ group }, values[field]);
  };
  return async () => {
    for (const gauge of [usable, ...gauges.map(([, made]) => made)]) gauge.reset();
    await Promise.all(catalog.listGroups().map(refresh));
  };
}

const CYCLE_GAUGES = ['freedBytes', 'copiedBytes', 'condemnedBytes', 'deadBytes', 'resealStores'] as const;

/** Of each group's cleaner, and of its last cycle. */
function cleanerGauges(cleaner: Pick<Cleaners, 'status'>, registry: Registry): () => Promise<void> {
  const gauge = (name: string, help: string) =>
    new Gauge({ name: `granary_cleaner_${name}`, help, labelNames: ['group'], registers: [registry] });
  const braked = gauge('braked', '1: it has stopped itself, an operator has to look.');
  const running = gauge('running', '1: a cycle runs.');
  const epoch = gauge('epoch', 'Of the last cycle.');
  const expected = gauge('expected_bytes', 'About so much is dead, by the deletions in the log.');
  const trash = gauge('trash_bytes', 'Of emptied data stores that are kept still.');
  const cycle = CYCLE_GAUGES.map(field => {
    const name = `last_${field.replace(/[A-Z]/g, letter => `_${letter.toLowerCase()}`)}`;
    return [field, gauge(name, `Of the last cycle: ${field}.`)] as const;
  });
  const all = [braked, running, epoch, expected, trash, ...cycle.map(([, made]) => made)];
  return async () => {
    for (const made of all) made.reset();
    for (const { group, state, last, expectedBytes, trashBytes } of (await cleaner.status()).groups) {
      braked.set({ group }, state === 'braked' ? 1 : 0);
      running.set({ group }, state === 'running' ? 1 : 0);
      expected.set({ group }, expectedBytes);
      trash.set({ group }, trashBytes);
      if (last === undefined) continue;
      epoch.set({ group }, last.figures.epoch);
      for (const [field, made] of cycle) made.set({ group }, last.figures[field]);
    }
  };
}

/** The same of scrub. */
function scrubGauges(scrub: ScrubAccess, registry: Registry): () => Promise<void> {
  const gauges = Object.entries(SCRUB_GAUGES).map(([name, field]) => {
    const help = `Of scrub in the storage group: ${field}.`;
    const parts = { labelNames: ['group'], registers: [registry] };
    return [field, new Gauge({ name: `granary_scrub_${name}`, help, ...parts })] as const;
  });
  return async () => {
    // A group whose scrub state cannot be read has said so; that is no reason to have no metrics at all.
    const all = await scrub.status().catch(() => []);
    for (const [field, gauge] of gauges) {
      gauge.reset();
      for (const figures of all) gauge.set({ group: figures.group }, figures[field]);
    }
  };
}
