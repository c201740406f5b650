/** granary container …: what clients see; each lives in one storage group. */
import type { Command } from 'commander';
import { formatSize } from '../base/units.js';
import type { ContainerDetails } from '../catalog/types.js';
import { callServer, print, type ServerFlags, withExamples, withServer } from './command.js';
import { type SettingFlags, settingsBody, settingsFields, withSettings } from './container-settings.js';
import { containerUrl } from './file-path.js';
import { statisticsText } from './statistics.js';
import { formatFields, formatTable } from './table.js';

const CONTAINERS = '/api/v1/containers';

/** A container as the server sends it. */
interface ContainerAnswer {
  readonly name: string;
  readonly id: number;
  readonly group: string;
  readonly created: string;
}

type DetailsAnswer = Omit<ContainerDetails, 'createdMs'> & ContainerAnswer;

export function registerContainer(program: Command): void {
  const container = program.command('container').description('containers: what clients put files into');
  const add = withSettings(
    container
      .command('add <name>')
      .description('make a container')
      .option('--group <name>', 'its storage group; by default DefaultGroup'),
  );
  withExamples(
    withServer(add),
    'container add nightly',
    'container add databases --group fast --bin-days 14 --quota 2TiB',
  );
  add.action(async (name: string, flags: SettingFlags & { group?: string }) => {
    const group = flags.group === undefined ? {} : { group: flags.group };
    const body = { name, ...group, ...settingsBody(flags) };
    const info = await callServer(flags, client => client.json<ContainerAnswer>('POST', CONTAINERS, body));
    print(flags, info, `made container ${info.name} in storage group ${info.group}\n`);
  });
  withServer(container.command('list').description('list the containers')).action(
    async (flags: ServerFlags) => {
      const containers = await callServer(flags, client => client.json<ContainerAnswer[]>('GET', CONTAINERS));
      const rows = containers.map(info => [info.name, info.group, info.created]);
      print(flags, containers, formatTable(['name', 'group', 'made'], rows));
    },
  );
  registerShow(container);
  registerUpdate(container);
  registerDelete(container);
}

function registerShow(container: Command): void {
  const show = container
    .command('show <name>')
    .description('show a container and what dedup and compression saved');
  withExamples(withServer(show), 'container show nightly --json');
  show.action(async (name: string, flags: ServerFlags) => {
    const info = await callServer(flags, client => client.json<DetailsAnswer>('GET', containerUrl(name)));
    print(flags, info, detailsText(info));
  });
}

function registerUpdate(container: Command): void {
  const update = withSettings(
    container.command('update <name>').description('change recycle bin, lock of new files, quota'),
  );
  withExamples(
    withServer(update),
    'container update nightly --bin-days 14',
    'container update nightly --lock-mode compliance --lock-days 30 --quota 500GiB',
  );
  update.action(async (name: string, flags: SettingFlags) => {
    const change = settingsBody(flags);
    if (Object.keys(change).length === 0) update.error('nothing to change was given', { exitCode: 2 });
    const info = await callServer(flags, client =>
      client.json<DetailsAnswer>('PATCH', containerUrl(name), change),
    );
    print(flags, info, detailsText(info));
  });
}

function detailsText(info: DetailsAnswer): string {
  const fields = formatFields([
    ['name', info.name],
    ['group', info.group],
    ['made', info.created],
    ['files', info.files],
    ['logical', formatSize(info.logicalBytes)],
    ['in the bin', `${info.binFiles} versions, ${formatSize(info.binBytes)}`],
    ...settingsFields(info),
  ]);
  return `${fields}\n${statisticsText(info)}`;
}

function registerDelete(container: Command): void {
  const remove = container
    .command('delete <name>')
    .description('delete an empty container')
    .option('--files', 'its files, too');
  withExamples(withServer(remove), 'container delete old --files');
  remove.action(async (name: string, flags: ServerFlags & { files?: boolean }) => {
    const query = flags.files === true ? '?files=1' : '';
    await callServer(flags, client => client.json('DELETE', containerUrl(name) + query));
    print(flags, { deleted: name }, `deleted container ${name}\n`);
  });
}
