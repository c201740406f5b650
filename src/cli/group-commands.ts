/** granary group …: storage groups, their settings and their locks. */
import { resolve } from 'node:path';
import { type Command, Option } from 'commander';
import { StoreError } from '../base/errors.js';
import { formatSize } from '../base/units.js';
import type { GroupInfo } from '../catalog/types.js';
import {
  callServer,
  countArgument,
  print,
  type ServerFlags,
  sizeArgument,
  withExamples,
  withServer,
} from './command.js';
import { quotaText } from './container-settings.js';
import { base64OfFile, registerGroupKeys } from './group-keys.js';
import { GROUPS, groupUrl } from './group-url.js';
import { findPassphrase, passphraseOfFile } from './passphrase.js';
import { formatFields, formatTable } from './table.js';

interface SettingFlags extends ServerFlags {
  readonly compression?: string;
  readonly encryption?: string;
  readonly rotationDays?: number;
  readonly quota?: number;
}

interface AddFlags extends SettingFlags, SecretFlags {
  readonly path?: string;
  readonly performanceTier?: boolean;
  readonly acceptSlow?: boolean;
  readonly chunkSize?: number;
}

interface SecretFlags {
  readonly passphraseFile?: string;
  readonly keyFile?: string;
}

export function registerGroup(program: Command): void {
  const group = program.command('group').description('storage groups: domains of dedup, keys and quota');
  registerAdd(group);
  withServer(group.command('list').description('list the storage groups')).action(
    async (flags: ServerFlags) => {
      const groups = await callServer(flags, client => client.json<GroupInfo[]>('GET', GROUPS));
      print(flags, groups, groupTable(groups));
    },
  );
  withServer(group.command('show <name>').description('show one storage group')).action(
    async (name: string, flags: ServerFlags) => {
      const info = await callServer(flags, client => client.json<GroupInfo>('GET', groupUrl(name)));
      print(flags, info, groupFields(info));
    },
  );
  registerUpdate(group);
  withServer(
    group.command('delete <name>').description('delete a storage group that has no containers'),
  ).action(async (name: string, flags: ServerFlags) => {
    await callServer(flags, client => client.json('DELETE', groupUrl(name)));
    print(flags, { deleted: name }, `deleted storage group ${name}\n`);
  });
  registerGroupKeys(group);
}

function withSettings(command: Command): Command {
  return command
    .addOption(
      new Option('--compression <level>', 'for what is stored from now on').choices(['none', 'fast', 'best']),
    )
    .option('--rotation-days <days>', 'with internal encryption: a new key after so many days', countArgument)
    .option('--quota <bytes>', 'stored bytes at most, such as 500GiB; 0: no limit', sizeArgument);
}

function settingsBody(flags: SettingFlags): Record<string, unknown> {
  return {
    ...(flags.compression === undefined ? {} : { compression: flags.compression }),
    ...(flags.encryption === undefined ? {} : { encryption: flags.encryption }),
    ...(flags.rotationDays === undefined ? {} : { rotationDays: flags.rotationDays }),
    ...(flags.quota === undefined ? {} : { quotaBytes: flags.quota }),
  };
}

function registerAdd(group: Command): void {
  const command = withSettings(group.command('add <name>').description('make a storage group'))
    .option('--path <dir>', 'where it lives; by default in the data directory')
    .option('--performance-tier', 'a group of its own on a fast volume: needs --path, the volume is measured')
    .option('--accept-slow', 'admit a volume below the minimum of a performance tier')
    .option('--chunk-size <bytes>', 'average chunk, 4KiB to 1MiB', sizeArgument)
    .addOption(
      new Option('--encryption <mode>', 'AES-256-GCM at rest').choices(['off', 'static', 'internal']),
    );
  withSecrets(command);
  withExamples(
    withServer(command),
    'group add vault --encryption internal --passphrase-file pass.txt',
    'group add fast --performance-tier --path /mnt/nvme/granary --compression fast',
  );
  command.action(async (name: string, flags: AddFlags) => {
    const body = await addBody(name, flags);
    const info = await callServer(flags, client => client.json<NewGroup>('POST', GROUPS, body));
    print(flags, info, groupFields(info) + recoveryText(info));
  });
}

function withSecrets(command: Command): Command {
  return command
    .option(
      '--passphrase-file <file>',
      'its first line opens the group (else $GRANARY_PASSPHRASE or a prompt)',
    )
    .option('--key-file <file>', 'a second way to open it: the content of this file');
}

type NewGroup = GroupInfo & { recoveryKey?: string };

function recoveryText({ recoveryKey }: NewGroup): string {
  return recoveryKey === undefined ? '' : `\nrecovery key (shown once; keep it apart): ${recoveryKey}\n`;
}

async function addBody(name: string, flags: AddFlags): Promise<Record<string, unknown>> {
  const isEncrypted = flags.encryption === 'static' || flags.encryption === 'internal';
  const passphrase = isEncrypted
    ? await findPassphrase(flags.passphraseFile, `Passphrase for ${name}: `, true)
    : undefined;
  if (isEncrypted && passphrase === undefined) {
    throw new StoreError(
      'INVALID',
      'an encrypted group needs --passphrase-file, GRANARY_PASSPHRASE or a terminal',
    );
  }
  return {
    name,
    ...settingsBody(flags),
    ...(flags.path === undefined ? {} : { path: resolve(flags.path) }),
    ...(flags.performanceTier === true ? { isPerformanceTier: true } : {}),
    ...(flags.acceptSlow === true ? { acceptSlow: true } : {}),
    ...(flags.chunkSize === undefined ? {} : { chunkSizeAverage: flags.chunkSize }),
    ...(passphrase === undefined ? {} : { passphrase }),
    ...(flags.keyFile === undefined ? {} : { keyFile: base64OfFile(flags.keyFile) }),
  };
}

function registerUpdate(group: Command): void {
  const command = withSettings(
    group.command('update <name>').description('change settings of a storage group'),
  );
  command.addOption(
    new Option('--encryption <mode>', 'how keys are renewed; a group without encryption gets it').choices([
      'off',
      'static',
      'internal',
    ]),
  );
  withSecrets(command);
  withExamples(
    withServer(command),
    'group update DefaultGroup --compression best --quota 2TiB',
    'group update DefaultGroup --encryption internal --passphrase-file pass.txt',
  );
  command.action(async (name: string, flags: SettingFlags & SecretFlags) => {
    const passphrase =
      flags.passphraseFile === undefined ? undefined : passphraseOfFile(flags.passphraseFile);
    const change = {
      ...settingsBody(flags),
      ...(passphrase === undefined ? {} : { passphrase }),
      ...(flags.keyFile === undefined ? {} : { keyFile: base64OfFile(flags.keyFile) }),
    };
    if (Object.keys(change).length === 0) command.error('nothing to change was given', { exitCode: 2 });
    const info = await callServer(flags, client => client.json<NewGroup>('PATCH', groupUrl(name), change));
    print(flags, info, groupFields(info) + recoveryText(info));
  });
}

function groupState(info: GroupInfo): string {
  if (info.failure !== undefined) return `failed: ${info.failure}`;
  return info.isLocked ? 'locked' : 'open';
}

function groupTable(groups: readonly GroupInfo[]): string {
  return formatTable(
    ['name', 'state', 'compression', 'encryption', 'chunk', 'path'],
    groups.map(info => [
      info.name,
      groupState(info),
      info.compression,
      info.encryption,
      formatSize(info.chunkSizeAverage),
      info.path,
    ]),
  );
}

function groupFields(info: GroupInfo): string {
  const { admission } = info;
  const rotational = admission?.isRotational === true ? ', rotational' : '';
  return formatFields([
    ['name', info.name],
    ['id', info.id],
    ['path', info.path],
    ['state', groupState(info)],
    ['performance tier', info.isPerformanceTier ? 'yes' : 'no'],
    ...(admission === undefined
      ? []
      : ([
          [
            'volume',
            `${admission.sequentialIops} sequential, ${admission.randomIops} random IOPS${rotational}`,
          ],
        ] as const)),
    ['average chunk', formatSize(info.chunkSizeAverage)],
    ['compression', info.compression],
    ['encryption', info.encryption === 'off' ? 'off' : `${info.encryption}, key epoch ${info.keyEpoch}`],
    ...(info.encryption === 'internal' ? ([['new key after', `${info.rotationDays} days`]] as const) : []),
    ['quota', quotaText(info.quotaBytes, info.quotaState)],
    ...(info.usedBytes === undefined ? [] : ([['used', formatSize(info.usedBytes)]] as const)),
    ...retentionFields(info),
  ]);
}

function retentionFields({ retentionClock, isRetentionFrozen }: GroupInfo): (readonly [string, string])[] {
  if (retentionClock === undefined) return [];
  const stands = isRetentionFrozen === true ? ', stands: the wall clock has moved' : '';
  return [['retention clock', retentionClock + stands]];
}
