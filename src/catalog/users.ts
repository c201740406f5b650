/**
 * Who may log in: names, roles and hashes of tokens, kept in the system file. What a role may do is the
 * front end's business.
 */
import { createHash } from 'node:crypto';
import { StoreError } from '../base/errors.js';
import { USER_COUNT_MAX } from '../base/limits.js';
import { checkName } from './names.js';
import type { SystemFile, UserEntry } from './system-file.js';

export function tokenHash(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}

export class Users {
  readonly #system: SystemFile;

  constructor(system: SystemFile) {
    this.#system = system;
  }

  list(): readonly UserEntry[] {
    return this.#system.content.users;
  }

  /** Whose token has this hash? */
  find(hash: string): UserEntry | undefined {
    return this.list().find(user => user.tokenHash === hash);
  }

  /** EXISTS when the name is taken. */
  async add(user: UserEntry): Promise<void> {
    checkName('user', user.name);
    await this.#system.change(content => {
      if (content.users.some(({ name }) => name === user.name)) {
        throw new StoreError('EXISTS', `there is a user '${user.name}' already`);
      }
      if (content.users.length >= USER_COUNT_MAX) {
        throw new StoreError('INVALID', `there are ${USER_COUNT_MAX} users already`);
      }
      return { ...content, users: [...content.users, user] };
    });
  }

  async delete(name: string): Promise<void> {
    await this.#system.change(content => {
      const users = content.users.filter(user => user.name !== name);
      if (users.length === content.users.length) {
        throw new StoreError('NOT_FOUND', `there is no user '${name}'`);
      }
      return { ...content, users };
    });
  }
}
