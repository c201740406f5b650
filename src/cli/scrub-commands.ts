/** granary scrub run and status: what scrub reads by itself, read now; and what it has found. */
import type { Command } from 'commander';
import { SYSTEM_CLOCK } from '../base/clock.js';
import { formatSize } from '../base/units.js';
import { callServer, print, type ServerFlags, withExamples, withServer } from './command.js';
import { watchedJob } from './job-watch.js';
import { formatFields, printable } from './table.js';

interface ScrubFlags extends ServerFlags {
  readonly group?: string;
}

/** What both answers say of a group. */
interface ScrubFacts {
  readonly group: string;
  readonly bytesRead: number;
  readonly filesRead: number;
  readonly quarantinedChunks: number;
  readonly healedChunks: number;
  readonly repairedChunks: number;
  readonly lostChunks: number;
  readonly damagedFiles: number;
  readonly names: readonly string[];
}

interface StatusAnswer extends ScrubFacts {
  readonly roundPercent: number;
  readonly roundStarted: string;
  readonly roundCompleted?: string;
  readonly unreadDataStores: number;
  readonly referencesChecked?: string;
  readonly checkedVersion: number;
  readonly lastVersion: number;
}

export function registerScrub(program: Command): void {
  const scrub = program.command('scrub').description('read everything again before anybody needs it');
  withExamples(scrub, 'scrub run', 'scrub status --json');
  const run = scrub
    .command('run')
    .description('read all records, references and new files now; exit code 1 when files are damaged')
    .option('--group <name>', 'one storage group; all of them without it');
  withExamples(withServer(run), 'scrub run', 'scrub run --group vault');
  run.action(runNow);
  const status = scrub
    .command('status')
    .description('how far scrub is, and what it has found')
    .option('--group <name>', 'one storage group; all of them without it');
  withExamples(withServer(status), 'scrub status');
  status.action(showStatus);
}

async function runNow(flags: ScrubFlags): Promise<void> {
  const body = flags.group === undefined ? {} : { group: flags.group };
  const reports = await callServer(flags, client =>
    watchedJob({ client, label: 'scrub', clock: SYSTEM_CLOCK, stream: process.stderr }, headers =>
      client.json<ScrubFacts[]>('POST', '/api/v1/scrub', body, headers),
    ),
  );
  print(flags, reports, reports.map(runText).join(''));
  if (reports.some(({ damagedFiles }) => damagedFiles > 0)) process.exitCode = 1;
}

async function showStatus(flags: ScrubFlags): Promise<void> {
  const query = flags.group === undefined ? '' : `?${new URLSearchParams({ group: flags.group })}`;
  const groups = await callServer(flags, client =>
    client.json<StatusAnswer[]>('GET', `/api/v1/scrub${query}`),
  );
  print(flags, groups, groups.map(statusText).join('\n'));
}

function runText(facts: ScrubFacts): string {
  const { group, bytesRead, filesRead, quarantinedChunks, repairedChunks, damagedFiles } = facts;
  const found =
    quarantinedChunks + repairedChunks === 0
      ? ''
      : `, ${quarantinedChunks} chunks put into quarantine, ${repairedChunks} repaired`;
  const verdict = damagedFiles === 0 ? 'nothing is damaged' : `${damagedFiles} files are damaged`;
  const read = `${formatSize(bytesRead)} and ${filesRead} whole files read`;
  return `${damagedText(facts)}${group}: ${verdict} (${read}${found})\n`;
}

function statusText(facts: StatusAnswer): string {
  const round = `${facts.roundPercent} % since ${facts.roundStarted}`;
  const rows: [string, string][] = [
    ['storage group', facts.group],
    ['records', `${round}; last round complete ${facts.roundCompleted ?? 'never'}`],
    ['not read back yet', `${facts.unreadDataStores} data stores`],
    ['references', `checked ${facts.referencesChecked ?? 'never'}`],
    ['whole files', `read up to version ${facts.checkedVersion} of ${facts.lastVersion}`],
    ['read in all', `${formatSize(facts.bytesRead)}, ${facts.filesRead} whole files`],
    ['in quarantine', `${facts.quarantinedChunks} chunks, ${facts.healedChunks} of them healed`],
    ['repaired', `${facts.repairedChunks} chunks`],
    ['damaged', `${facts.damagedFiles} files, ${facts.lostChunks} chunks`],
  ];
  return formatFields(rows) + damagedText(facts);
}

function damagedText({ group, names, damagedFiles }: ScrubFacts): string {
  const lines = names.map(name => `damaged: ${group}: ${printable(name)}\n`).join('');
  return damagedFiles > names.length
    ? `${lines}damaged: ${group}: ${damagedFiles - names.length} more\n`
    : lines;
}
