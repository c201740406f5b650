/**
 * granary user …: who may do what. A token is shown once, when the user is made; the server keeps only its
 * hash.
 */
import { type Command, Option } from 'commander';
import { callServer, print, type ServerFlags, withExamples, withServer } from './command.js';
import { formatTable } from './table.js';

const USERS = '/api/v1/users';
export const ROLES = ['admin', 'operator', 'writer', 'reader'] as const;

interface UserAnswer {
  readonly name: string;
  readonly role: string;
  readonly token?: string;
}

export function registerUser(program: Command): void {
  const user = program.command('user').description('users and their tokens');
  const add = user
    .command('add <name>')
    .description('make a user and print its token, once')
    .addOption(new Option('--role <role>', 'what it may do').choices(ROLES).makeOptionMandatory());
  withExamples(withServer(add), 'user add backup-host-7 --role writer');
  add.action(async (name: string, flags: ServerFlags & { role: string }) => {
    const made = await callServer(flags, client =>
      client.json<UserAnswer>('POST', USERS, { name, role: flags.role }),
    );
    print(flags, made, `token of ${made.name} (${made.role}): ${made.token}\n`);
  });
  withServer(user.command('list').description('list the users')).action(async (flags: ServerFlags) => {
    const users = await callServer(flags, client => client.json<UserAnswer[]>('GET', USERS));
    const rows = users.map(({ name, role }) => [name, role]);
    print(flags, users, formatTable(['name', 'role'], rows));
  });
  withServer(user.command('delete <name>').description('delete a user; its token is void at once')).action(
    async (name: string, flags: ServerFlags) => {
      await callServer(flags, client => client.json('DELETE', `${USERS}/${encodeURIComponent(name)}`));
      print(flags, { deleted: name }, `deleted user ${name}\n`);
    },
  );
}
