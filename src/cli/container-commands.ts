/** granary container …: what clients see; each lives in one storage group. */
import type { Command } from 'commander';
import { formatSize } from '../base/units.js';
import { callServer, print, type ServerFlags, withExamples, withServer } from './command.js';
import { containerUrl } from './file-path.js';
import { type StatisticsAnswer, statisticsText } from './statistics.js';
import { formatFields, formatTable } from './table.js';

const CONTAINERS = '/api/v1/containers';

/** A container as the server sends it. */
interface ContainerAnswer {
  readonly name: string;
  readonly id: number;
  readonly group: string;
  readonly created: string;
}

export function registerContainer(program: Command): void {
  const container = program.command('container').description('containers: what clients put files into');
  const add = container
    .command('add <name>')
    .description('make a container')
    .option('--group <name>', 'its storage group; by default DefaultGroup');
  withExamples(withServer(add), 'container add nightly', 'container add databases --group fast');
  add.action(async (name: string, flags: ServerFlags & { group?: string }) => {
    const body = { name, ...(flags.group === undefined ? {} : { group: flags.group }) };
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
  registerDelete(container);
}

function registerShow(container: Command): void {
  const show = container
    .command('show <name>')
    .description('show a container and what dedup and compression saved');
  withExamples(withServer(show), 'container show nightly --json');
  show.action(async (name: string, flags: ServerFlags) => {
    const info = await callServer(flags, client =>
      client.json<ContainerAnswer & StatisticsAnswer>('GET', containerUrl(name)),
    );
    const fields = formatFields([
      ['name', info.name],
      ['group', info.group],
      ['made', info.created],
      ['files', info.files],
      ['logical', formatSize(info.logicalBytes)],
    ]);
    print(flags, info, `${fields}\n${statisticsText(info)}`);
  });
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
