/** granary cleaner: run, status, pause, resume, set. */
import type { Command } from 'commander';
import { stayAwake } from '../base/clock.js';
import { StoreError } from '../base/errors.js';
import { CLEANER_POLL_INTERVAL_MS } from '../base/limits.js';
import { formatSize } from '../base/units.js';
import type { Client } from './client.js';
import {
  callServer,
  countArgument,
  parsedBy,
  print,
  type ServerFlags,
  withExamples,
  withServer,
} from './command.js';
import { printable } from './table.js';

const URL = '/api/v1/cleaner';
const DAYS = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'];

interface Window {
  readonly day: number;
  readonly fromMinute: number;
  readonly minutes: number;
}

interface LastCycle {
  readonly ended: string;
  readonly outcome: 'done' | 'failed' | 'braked' | 'cancelled';
  readonly failure?: string;
  readonly freedBytes: number;
  readonly reclaimedStores: number;
  readonly copiedBytes: number;
  readonly condemnedBytes: number;
  readonly condemnedStores: number;
  readonly resealStores: number;
}

/** What the server says of one group. */
interface GroupCleaner {
  readonly group: string;
  readonly state: 'idle' | 'running' | 'braked';
  readonly brake?: string;
  readonly phase?: string;
  readonly done?: number;
  readonly total?: number;
  readonly expectedBytes: number;
  readonly trashBytes: number;
  readonly last?: LastCycle;
}

interface CleanerAnswer {
  readonly isPaused: boolean;
  readonly holdHours: number;
  readonly windows: readonly Window[];
  readonly groups: readonly GroupCleaner[];
}

interface RunFlags extends ServerFlags {
  readonly group?: string;
  readonly wait: boolean;
}

interface SetFlags extends ServerFlags {
  readonly window?: readonly Window[];
  readonly anyTime?: boolean;
  readonly holdHours?: number;
}

export function registerCleaner(program: Command): void {
  const cleaner = program
    .command('cleaner')
    .description('give back the space of what nothing needs any more');
  registerRun(cleaner);
  registerSimple(cleaner, 'status', 'what it does, and what its last cycle did', 'GET', '');
  registerSimple(cleaner, 'pause', 'begin no cycle any more, also after a restart', 'POST', '/pause');
  registerSimple(
    cleaner,
    'resume',
    'end a pause; release the brake that the cleaner has pulled itself',
    'POST',
    '/resume',
  );
  registerSet(cleaner);
}

function registerRun(cleaner: Command): void {
  const run = cleaner
    .command('run')
    .description('one cycle now; two of them return the space of what has been deleted')
    .option('--group <name>', 'of one storage group; of all without it')
    .option('--wait', 'until it is over (default)', true)
    .option('--no-wait', 'begin it only');
  withExamples(withServer(run), 'cleaner run', 'cleaner run --group vault --json');
  run.action(async (flags: RunFlags) => {
    const body = flags.group === undefined ? {} : { group: flags.group };
    const answer = await callServer(flags, async client => {
      const begun = await client.json<CleanerAnswer>('POST', `${URL}/run`, body);
      return flags.wait ? untilOver(client, begun, flags.group) : begun;
    });
    print(flags, answer, ofGroup(answer, flags.group).map(groupText).join(''));
    const isDone = ({ state, last }: GroupCleaner) => state !== 'braked' && last?.outcome === 'done';
    if (flags.wait && !ofGroup(answer, flags.group).every(isDone)) process.exitCode = 1;
  });
}

function registerSimple(cleaner: Command, name: string, what: string, method: string, path: string): void {
  const command = cleaner.command(name).description(what);
  withExamples(withServer(command), `cleaner ${name}`);
  command.action(async (flags: ServerFlags) => {
    const answer = await callServer(flags, client => client.json<CleanerAnswer>(method, URL + path));
    print(flags, answer, statusText(answer));
  });
}

function registerSet(cleaner: Command): void {
  const set = cleaner
    .command('set')
    .description('when it works by itself, and how long emptied data stores are kept')
    .option(
      '--window <window...>',
      "weekly, UTC: 'sat 22:00-06:00'; several are given one after the other",
      windows,
    )
    .option('--any-time', 'no windows: whenever a group is idle')
    .option('--hold-hours <hours>', 'how long emptied data stores lie in the trash at least', countArgument);
  withExamples(
    withServer(set),
    "cleaner set --window 'sat 22:00-06:00'",
    'cleaner set --any-time --hold-hours 24',
  );
  set.action(async (flags: SetFlags) => {
    if (flags.window !== undefined && flags.anyTime === true) {
      set.error('give --window or --any-time, not both', { exitCode: 2 });
    }
    const body = {
      ...(flags.window === undefined ? {} : { windows: flags.window }),
      ...(flags.anyTime === true ? { windows: [] } : {}),
      ...(flags.holdHours === undefined ? {} : { holdHours: flags.holdHours }),
    };
    const answer = await callServer(flags, client => client.json<CleanerAnswer>('PATCH', URL, body));
    print(flags, answer, statusText(answer));
  });
}

const windowArgument = parsedBy(parseWindow);

function windows(text: string, before: readonly Window[] = []): readonly Window[] {
  return [...before, windowArgument(text)];
}

/** `sat 22:00-06:00`: an end before the start lies on the next day. INVALID. */
export function parseWindow(text: string): Window {
  const match = /^\s*([a-z]{3})[a-z]*\s+(\d{1,2}):(\d{2})\s*-\s*(\d{1,2}):(\d{2})\s*$/i.exec(text);
  const day = DAYS.indexOf(match?.[1]?.toLowerCase() ?? '');
  const fromMinute = minuteOf(match?.[2], match?.[3]);
  const toMinute = minuteOf(match?.[4], match?.[5]);
  if (day < 0 || fromMinute === undefined || toMinute === undefined || fromMinute === 1440) {
    throw new StoreError('INVALID', `not a weekly window: '${text}' (wanted: 'sat 22:00-06:00')`);
  }
  const minutes = toMinute > fromMinute ? toMinute - fromMinute : toMinute + 1440 - fromMinute;
  return { day, fromMinute, minutes };
}

function minuteOf(hours: string | undefined, minutes: string | undefined): number | undefined {
  const minute = Number(hours) * 60 + Number(minutes);
  return Number(minutes) < 60 && minute <= 1440 ? minute : undefined;
}

function ofGroup({ groups }: CleanerAnswer, name: string | undefined): readonly GroupCleaner[] {
  return name === undefined ? groups : groups.filter(({ group }) => group === name);
}

/** Asks until no cycle runs any more; on a terminal what is done stands in one line. */
async function untilOver(
  client: Pick<Client, 'json'>,
  begun: CleanerAnswer,
  group: string | undefined,
): Promise<CleanerAnswer> {
  const isShown = process.stderr.isTTY === true;
  let answer = begun;
  while (ofGroup(answer, group).some(({ state }) => state === 'running')) {
    if (isShown)
      process.stderr.write(`\r\x1b[K${progressText(answer).slice(0, process.stderr.columns ?? 80)}`);
    await stayAwake(CLEANER_POLL_INTERVAL_MS);
    answer = await client.json<CleanerAnswer>('GET', URL);
  }
  if (isShown) process.stderr.write('\r\x1b[K');
  return answer;
}

function progressText({ groups }: CleanerAnswer): string {
  return groups
    .filter(({ state }) => state === 'running')
    .map(
      ({ group, phase, done = 0, total = 0 }) =>
        `${group}: ${phase ?? ''}${total > 0 ? ` ${done} of ${total}` : ''}`,
    )
    .join('  ');
}

function statusText(answer: CleanerAnswer): string {
  const { isPaused, holdHours, windows: own } = answer;
  const when = own.length === 0 ? 'when a group is idle' : own.map(windowText).join(', ');
  const hold = holdHours === 0 ? '' : `; emptied data stores are kept ${holdHours} h`;
  const first = isPaused ? 'paused' : `works by itself ${when}${hold}`;
  return `${first}\n${answer.groups.map(groupText).join('')}`;
}

function windowText({ day, fromMinute, minutes }: Window): string {
  const clock = (minute: number) =>
    [Math.floor(minute / 60) % 24, minute % 60].map(part => String(part).padStart(2, '0')).join(':');
  return `${DAYS[day]} ${clock(fromMinute)}-${clock(fromMinute + minutes)} UTC`;
}

function groupText({ group, state, brake, phase, done = 0, total = 0, last, ...rest }: GroupCleaner): string {
  const lines = [`${group}: ${state}`];
  if (state === 'running') lines.push(`  ${phase ?? ''}${total > 0 ? ` ${done} of ${total}` : ''}`);
  if (brake !== undefined) lines.push(`  ${printable(brake)}`);
  const { expectedBytes, trashBytes } = rest;
  if (expectedBytes + trashBytes > 0) {
    lines.push(`  about ${formatSize(expectedBytes)} to free, ${formatSize(trashBytes)} in the trash`);
  }
  if (last !== undefined) lines.push(`  ${lastText(last)}`);
  return lines.map(line => `${line}\n`).join('');
}

function lastText(last: LastCycle): string {
  const facts = [
    `freed ${formatSize(last.freedBytes)} (${last.reclaimedStores} data stores)`,
    `copied ${formatSize(last.copiedBytes)}`,
    `condemned ${formatSize(last.condemnedBytes)} (${last.condemnedStores} data stores)`,
    ...(last.resealStores === 0 ? [] : [`${last.resealStores} data stores wait for the active key`]),
  ].join(', ');
  const why = last.failure === undefined ? '' : `: ${printable(last.failure)}`;
  return `last cycle, ${last.ended}: ${last.outcome}${why}; ${facts}`;
}
