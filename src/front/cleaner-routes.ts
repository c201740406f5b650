/** The cleaner: what it does, on demand, pause and resume, its settings. It decides; this is its form. */
import { z } from 'zod';
import { isoTime } from '../base/clock.js';
import { CLEANER_HOLD_HOURS_MAX, CLEANER_WINDOWS_MAX } from '../base/limits.js';
import type { CleanerStatus } from '../cleaner/cleaner.js';
import type { CleanersStatus } from '../cleaner/cleaners.js';
import type { FrontContext } from './context.js';
import { type Route, route } from './route.js';
import { plainName } from './schema.js';

const count = z.number().int().min(0);
const figures = {
  epoch: count,
  files: count,
  nodes: count,
  chunks: count,
  deadBytes: count.meta({ description: 'Dead in all data stores at the mark.' }),
  condemnedStores: count,
  condemnedChunks: count,
  condemnedBytes: count,
  emptiedStores: count,
  copiedBytes: count,
  copiedStoredBytes: count,
  duplicateBytes: count,
  reclaimedStores: count,
  freedBytes: count.meta({ description: 'Of files that were unlinked.' }),
  resealStores: count.meta({ description: 'Data stores that wait for the active key.' }),
  retiredKeys: count,
};

const window = z.strictObject({
  day: z.number().int().min(0).max(6).meta({ description: '0: Monday, UTC.' }),
  fromMinute: z.number().int().min(0).max(1439),
  minutes: z.number().int().min(1).max(1440),
});
const settings = {
  holdHours: z.number().int().min(0).max(CLEANER_HOLD_HOURS_MAX),
  windows: z.array(window).max(CLEANER_WINDOWS_MAX).meta({ description: 'None: whenever a group is idle.' }),
};

export const cleanerChange = z.strictObject(settings).partial().openapi('CleanerChange');
export const cleanerRun = z.strictObject({ group: plainName.optional() }).openapi('CleanerRun');
export const cleanerStatus = z
  .object({
    isPaused: z.boolean(),
    ...settings,
    groups: z.array(
      z.object({
        group: z.string(),
        state: z.enum(['idle', 'running', 'braked']),
        brake: z.string().optional().meta({ description: 'Why it has stopped itself.' }),
        phase: z.enum(['reclaim', 'probe', 'copy', 'mark', 'condemn', 'keys']).optional(),
        done: count.optional(),
        total: count.optional(),
        expectedBytes: count,
        trashBytes: count,
        figures: z.object(figures).optional(),
        last: z
          .object({
            started: z.iso.datetime(),
            ended: z.iso.datetime(),
            outcome: z.enum(['done', 'failed', 'braked', 'cancelled']),
            failure: z.string().optional(),
            ...figures,
          })
          .optional(),
      }),
    ),
  })
  .openapi('CleanerStatus');

export function cleanerRoutes({ cleaner }: FrontContext): Route[] {
  const answers = { 200: { description: 'The cleaner', content: cleanerStatus } };
  const answer = async (status: Promise<CleanersStatus>) => ({
    status: 200,
    json: statusJson(await status),
  });
  return [
    route({
      method: 'GET',
      pattern: '/api/v1/cleaner',
      summary: 'What the cleaner does, and what its last cycle did.',
      answers,
      handle: () => answer(cleaner.status()),
    }),
    route({
      method: 'PATCH',
      pattern: '/api/v1/cleaner',
      summary: 'Weekly windows, and how long emptied data stores are kept.',
      body: cleanerChange,
      answers,
      handle: ({ body: { holdHours, windows } }) =>
        answer(
          cleaner.change({
            ...(holdHours === undefined ? {} : { holdHours }),
            ...(windows === undefined ? {} : { windows }),
          }),
        ),
    }),
    route({
      method: 'POST',
      pattern: '/api/v1/cleaner/run',
      summary: 'Begins a cycle in a group or in all, and answers at once.',
      body: cleanerRun,
      answers: { 202: { description: 'The cleaner', content: cleanerStatus } },
      handle: async ({ body }) => ({ ...(await answer(cleaner.begin(body.group))), status: 202 }),
    }),
    route({
      method: 'POST',
      pattern: '/api/v1/cleaner/pause',
      summary: 'No cycle begins any more, one that runs ends soon; also after a restart.',
      answers,
      handle: () => answer(cleaner.pause()),
    }),
    route({
      method: 'POST',
      pattern: '/api/v1/cleaner/resume',
      summary: 'Ends a pause, and releases the brake that the cleaner has pulled itself.',
      answers,
      handle: () => answer(cleaner.resume()),
    }),
  ];
}

function statusJson({ groups, ...settings }: CleanersStatus): object {
  return { ...settings, groups: groups.map(groupJson) };
}

function groupJson({ last, ...rest }: CleanerStatus): object {
  if (last === undefined) return rest;
  const { startedMs, endedMs, figures: sums, ...ending } = last;
  return { ...rest, last: { started: isoTime(startedMs), ended: isoTime(endedMs), ...ending, ...sums } };
}
