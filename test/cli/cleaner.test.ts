import { expect, test } from 'vitest';
import { parseWindow } from '../../src/cli/cleaner-commands.js';

test('a weekly window is a day and two times; an end before the start lies on the next day', () => {
  expect(parseWindow('sat 22:00-06:00')).toEqual({ day: 5, fromMinute: 1320, minutes: 480 });
  expect(parseWindow('Monday 0:00-24:00')).toEqual({ day: 0, fromMinute: 0, minutes: 1440 });
  expect(parseWindow('sun 12:30 - 12:31')).toEqual({ day: 6, fromMinute: 750, minutes: 1 });
});

test('what is no window is refused with what is wanted', () => {
  for (const text of ['', 'sat', 'xyz 1:00-2:00', 'sat 25:00-26:00', 'sat 1:60-2:00', 'sat 24:00-1:00']) {
    expect(() => parseWindow(text)).toThrow(/wanted: 'sat 22:00-06:00'/);
  }
});
