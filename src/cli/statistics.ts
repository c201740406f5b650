/** granary stats: logical, unique and stored bytes, and what dedup and compression each saved. */
import type { Command } from 'commander';
import { formatSize } from '../base/units.js';
import type { ByteStatistics } from '../catalog/types.js';
import { callServer, print, type ServerFlags, withExamples, withServer } from './command.js';
import { formatTable } from './table.js';

export type StatisticsAnswer = ByteStatistics;

interface StatisticsFlags extends ServerFlags {
  readonly group?: string;
  readonly container?: string;
}

export function registerStatistics(program: Command): void {
  const command = program
    .command('stats')
    .description('logical, unique and stored bytes, and what was saved')
    .option('--group <name>', 'of one storage group')
    .option('--container <name>', 'of one container');
  withExamples(
    withServer(command),
    'stats',
    'stats --container nightly',
    'stats --json',
    'stat nightly/monday.tar   the same of one file',
  );
  command.action(async (flags: StatisticsFlags) => {
    if (flags.group !== undefined && flags.container !== undefined) {
      command.error('give --group or --container, not both', { exitCode: 2 });
    }
    const query = new URLSearchParams();
    if (flags.group !== undefined) query.set('group', flags.group);
    if (flags.container !== undefined) query.set('container', flags.container);
    const path = query.size === 0 ? '/api/v1/stats' : `/api/v1/stats?${query}`;
    const statistics = await callServer(flags, client => client.json<StatisticsAnswer>('GET', path));
    const { files, chunks, dataStores, binFiles, binBytes } = statistics;
    const bin = binFiles === 0 ? '' : `; in recycle bins ${binFiles} versions, ${formatSize(binBytes)}`;
    const counts = `${files} files, ${chunks} chunks, ${dataStores} data stores${bin}\n`;
    print(flags, statistics, statisticsText(statistics) + counts);
  });
}

/** The bytes at each step, and what the step saved. */
export function statisticsText(
  statistics: Pick<
    ByteStatistics,
    | 'logicalBytes'
    | 'uniqueBytes'
    | 'storedBytes'
    | 'dedupSavedBytes'
    | 'compressionSavedBytes'
    | 'dedupSavingsPercent'
    | 'compressionSavingsPercent'
    | 'savingsPercent'
  >,
): string {
  const percent = (value: number): string => `${value.toFixed(2)} %`;
  const saved = statistics.logicalBytes - statistics.storedBytes;
  return formatTable(
    ['', 'bytes', 'saved', 'share'],
    [
      ['logical', formatSize(statistics.logicalBytes), '', ''],
      [
        'unique, after dedup',
        formatSize(statistics.uniqueBytes),
        formatSize(statistics.dedupSavedBytes),
        percent(statistics.dedupSavingsPercent),
      ],
      [
        'stored, after compression',
        formatSize(statistics.storedBytes),
        formatSize(statistics.compressionSavedBytes),
        percent(statistics.compressionSavingsPercent),
      ],
      ['saved in all', '', formatSize(Math.max(0, saved)), percent(statistics.savingsPercent)],
    ],
  );
}
