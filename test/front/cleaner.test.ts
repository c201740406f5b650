import { afterAll, beforeAll, expect, test } from 'vitest';
import { FrontServer } from '../support/front-server.js';

let front: FrontServer;

beforeAll(async () => {
  front = await new FrontServer('node:http').listen();
});

afterAll(() => front.server.stop(0));

test('the cleaner says what it does, with times as text and figures beside them', async () => {
  const { status, json } = await front.call('GET', '/api/v1/cleaner', { token: 'reader' });
  expect(status).toBe(200);
  expect(json).toMatchObject({ isPaused: false, holdHours: 0, windows: [] });
  const [group] = json.groups as Record<string, unknown>[];
  expect(group).toMatchObject({ group: 'DefaultGroup', state: 'idle', trashBytes: 50 });
  expect(group!.last).toMatchObject({
    ...{ started: '1970-01-01T00:00:01.000Z', ended: '1970-01-01T00:00:02.000Z' },
    ...{ outcome: 'done', epoch: 7, freedBytes: 4096 },
  });
});

test('a run is begun and answered at once; of a group that is not there it is refused', async () => {
  const begun = await front.json('POST', '/api/v1/cleaner/run', { group: 'DefaultGroup' });
  expect(begun.status).toBe(202);
  const [group] = begun.json.groups as Record<string, unknown>[];
  expect(group).toMatchObject({ state: 'running', phase: 'mark', done: 1, total: 3 });
  expect((await front.json('POST', '/api/v1/cleaner/run', { group: 'other' })).status).toBe(404);
});

test('pause, resume and windows are for operators, and what is out of range is refused', async () => {
  expect((await front.json('POST', '/api/v1/cleaner/pause', undefined, 'writer')).status).toBe(403);
  expect((await front.call('POST', '/api/v1/cleaner/pause')).json).toMatchObject({ isPaused: true });
  expect((await front.json('POST', '/api/v1/cleaner/run', {})).status).toBe(409);
  expect((await front.call('POST', '/api/v1/cleaner/resume')).json).toMatchObject({ isPaused: false });
  const windows = [{ day: 6, fromMinute: 1320, minutes: 480 }];
  const changed = await front.json('PATCH', '/api/v1/cleaner', { windows, holdHours: 24 });
  expect(changed.json).toMatchObject({ windows, holdHours: 24 });
  for (const wrong of [{ holdHours: -1 }, { windows: [{ day: 7, fromMinute: 0, minutes: 1 }] }, { x: 1 }]) {
    expect((await front.json('PATCH', '/api/v1/cleaner', wrong)).status).toBe(400);
  }
});

test('metrics tell of brake, epoch and freed bytes', async () => {
  const text = (await front.call('GET', '/metrics')).body.toString('utf8');
  expect(text).toContain('granary_cleaner_braked{group="DefaultGroup"} 0');
  expect(text).toContain('granary_cleaner_epoch{group="DefaultGroup"} 7');
  expect(text).toContain('granary_cleaner_last_freed_bytes{group="DefaultGroup"} 4096');
});
