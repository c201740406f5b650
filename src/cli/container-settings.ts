/** Flags of a container's policy, and what they look like when they are shown. */
import { type Command, Option } from 'commander';
import { formatSize } from '../base/units.js';
import type { ContainerSettings, QuotaState } from '../catalog/types.js';
import { countArgument, type ServerFlags, sizeArgument } from './command.js';
import type { Cell } from './table.js';

export interface SettingFlags extends ServerFlags {
  readonly binDays?: number;
  readonly lockMode?: string;
  readonly lockDays?: number;
  readonly quota?: number;
}

export function withSettings(command: Command): Command {
  return command
    .option(
      '--bin-days <days>',
      'what is deleted or overwritten stays in the recycle bin, 7 to 30 days; cannot be switched off again',
      countArgument,
    )
    .addOption(
      new Option('--lock-mode <mode>', 'lock of files that are put from now on').choices([
        'none',
        'governance',
        'compliance',
      ]),
    )
    .option('--lock-days <days>', 'and for how long', countArgument)
    .option('--quota <bytes>', 'bytes of its files as they came, such as 500GiB; 0: no limit', sizeArgument);
}

/** What the flags ask for, as the server takes it. */
export function settingsBody({ binDays, lockMode, lockDays, quota }: SettingFlags): Record<string, unknown> {
  return {
    ...(binDays === undefined ? {} : { binDays }),
    ...(lockMode === undefined ? {} : { lockMode }),
    ...(lockDays === undefined ? {} : { lockDays }),
    ...(quota === undefined ? {} : { quotaBytes: quota }),
  };
}

export function settingsFields(
  info: ContainerSettings & { readonly quotaState: QuotaState },
): (readonly [string, Cell])[] {
  const { binDays, lockMode, lockDays } = info;
  return [
    ['recycle bin', binDays === 0 ? 'off' : `${binDays} days`],
    ['lock of new files', lockMode === 'none' ? 'none' : `${lockMode}, ${lockDays} days`],
    ['quota', quotaText(info.quotaBytes, info.quotaState)],
  ];
}

export function quotaText(quotaBytes: number, state: QuotaState | undefined): string {
  if (quotaBytes === 0) return 'none';
  const words: Readonly<Record<QuotaState, string>> = {
    none: '',
    ok: '',
    warning: ', nearly used up',
    full: ', used up',
  };
  return formatSize(quotaBytes) + words[state ?? 'ok'];
}
