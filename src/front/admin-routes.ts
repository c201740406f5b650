/**
 * Administration: groups, containers, users, statistics. JSON in, JSON out; the catalog
 * decides.
 */
import { StoreError } from '../base/errors.js';
import type { GroupChange, GroupRequest } from '../catalog/types.js';
import { makeToken } from './auth.js';
import type { FrontContext } from './context.js';
import { withoutUndefined } from './file-json.js';
import { containerJson } from './retention-routes.js';
import { type Route, route } from './route.js';
import * as schema from './schema.js';

const GROUP_ANSWER = { 200: { description: 'The group', content: schema.groupInfo } };

export function groupRoutes({ catalog }: FrontContext): Route[] {
  return [
    route({
      method: 'GET',
      pattern: '/api/v1/groups',
      summary: 'All storage groups.',
      answers: { 200: { description: 'Groups', content: schema.groupInfo.array() } },
      handle: async () => ({ status: 200, json: catalog.listGroups() }),
    }),
    route({
      method: 'POST',
      pattern: '/api/v1/groups',
      summary: 'Makes a storage group. An encrypted one answers its recovery key, once.',
      body: schema.groupRequest,
      answers: { 201: { description: 'The group', content: schema.groupInfo } },
      handle: async ({ body }) => {
        const { keyFile, ...rest } = body;
        const request = { ...rest, ...decodedKeyFile(keyFile) } as GroupRequest;
        return { status: 201, json: await catalog.addGroup(request) };
      },
    }),
    route({
      method: 'GET',
      pattern: '/api/v1/groups/{group}',
      summary: 'One storage group.',
      params: schema.groupParams,
      answers: GROUP_ANSWER,
      handle: async ({ params }) => ({ status: 200, json: catalog.showGroup(params.group) }),
    }),
  ];
}

export function groupChangeRoutes({ catalog }: FrontContext): Route[] {
  return [
    route({
      method: 'PATCH',
      pattern: '/api/v1/groups/{group}',
      summary:
        'Changes settings of a storage group; they hold for what is stored from now on. A first encryption ' +
        'takes a passphrase and answers the recovery key, once.',
      params: schema.groupParams,
      body: schema.groupChange,
      answers: GROUP_ANSWER,
      handle: async ({ params, body }) => ({
        status: 200,
        json: await catalog.updateGroup(params.group, groupChange(body)),
      }),
    }),
    route({
      method: 'DELETE',
      pattern: '/api/v1/groups/{group}',
      summary: 'Deletes a storage group that has no containers.',
      params: schema.groupParams,
      answers: { 204: { description: 'Deleted' } },
      handle: async ({ params }) => {
        await catalog.deleteGroup(params.group);
        return { status: 204 };
      },
    }),
  ];
}

/** How a group is opened, and with what. */
export function groupKeyRoutes({ catalog }: FrontContext): Route[] {
  return [
    route({
      method: 'POST',
      pattern: '/api/v1/groups/{group}/unlock',
      summary: 'Opens an encrypted storage group with one of its secrets.',
      params: schema.groupParams,
      body: schema.unlockRequest,
      answers: GROUP_ANSWER,
      handle: async ({ params, body }) => {
        const { keyFile, passphrase, recoveryKey } = body;
        const secret = {
          ...(passphrase === undefined ? {} : { passphrase }),
          ...(recoveryKey === undefined ? {} : { recoveryKey }),
          ...decodedKeyFile(keyFile),
        };
        if (Object.keys(secret).length !== 1) {
          throw new StoreError('INVALID', 'unlock takes one of passphrase, keyFile, recoveryKey');
        }
        return { status: 200, json: await catalog.unlockGroup(params.group, secret) };
      },
    }),
    route({
      method: 'POST',
      pattern: '/api/v1/groups/{group}/passphrase',
      summary: 'Puts a new passphrase in the place of an old one; what is stored stays as it is.',
      params: schema.groupParams,
      body: schema.passphraseChange,
      answers: GROUP_ANSWER,
      handle: async ({ params: { group }, body: { passphrase, newPassphrase } }) => {
        await catalog.changePassphrase(group, passphrase, newPassphrase);
        return { status: 200, json: catalog.showGroup(group) };
      },
    }),
    route({
      method: 'POST',
      pattern: '/api/v1/groups/{group}/keys',
      summary: 'Adds a key file that opens the storage group, too.',
      params: schema.groupParams,
      body: schema.keyRequest,
      answers: GROUP_ANSWER,
      handle: async ({ params: { group }, body: { passphrase, keyFile } }) => {
        await catalog.addSecret(group, { passphrase }, { keyFile: Buffer.from(keyFile, 'base64') });
        return { status: 200, json: catalog.showGroup(group) };
      },
    }),
  ];
}

function groupChange({ keyFile, ...rest }: { keyFile?: string | undefined }): GroupChange {
  return { ...rest, ...decodedKeyFile(keyFile) } as GroupChange;
}

function decodedKeyFile(base64: string | undefined): { keyFile?: Uint8Array } {
  return base64 === undefined ? {} : { keyFile: Buffer.from(base64, 'base64') };
}

export function containerRoutes({ catalog }: FrontContext): Route[] {
  return [
    route({
      method: 'GET',
      pattern: '/api/v1/containers',
      summary: 'All containers.',
      answers: { 200: { description: 'Containers', content: schema.containerInfo.array() } },
      handle: async () => ({ status: 200, json: catalog.listContainers().map(containerJson) }),
    }),
    route({
      method: 'POST',
      pattern: '/api/v1/containers',
      summary: 'Makes a container; without a group in the default one.',
      body: schema.containerRequest,
      answers: { 201: { description: 'The container', content: schema.containerInfo } },
      handle: async ({ body: { name, group, ...settings } }) => ({
        status: 201,
        json: containerJson(await catalog.addContainer(name, group, withoutUndefined(settings))),
      }),
    }),
    route({
      method: 'GET',
      pattern: '/api/v1/containers/{container}',
      summary: 'One container, with its statistics.',
      params: schema.containerParams,
      answers: { 200: { description: 'The container', content: schema.containerDetails } },
      handle: async ({ params }) => ({
        status: 200,
        json: containerJson(catalog.showContainer(params.container)),
      }),
    }),
    route({
      method: 'DELETE',
      pattern: '/api/v1/containers/{container}',
      summary: 'Deletes a container: an empty one, or with all its files.',
      params: schema.containerParams,
      query: schema.containerDeletion,
      answers: { 204: { description: 'Deleted' } },
      handle: async ({ params, query }) => {
        await catalog.deleteContainer(params.container, query.files);
        return { status: 204 };
      },
    }),
  ];
}

export function userRoutes({ users }: FrontContext): Route[] {
  return [
    route({
      method: 'GET',
      pattern: '/api/v1/users',
      summary: 'All users.',
      answers: { 200: { description: 'Users', content: schema.userInfo.array() } },
      handle: async () => ({ status: 200, json: users.list().map(({ name, role }) => ({ name, role })) }),
    }),
    route({
      method: 'POST',
      pattern: '/api/v1/users',
      summary: 'Makes a user and answers its token, once.',
      body: schema.userRequest,
      answers: { 201: { description: 'The user', content: schema.newUser } },
      handle: async ({ body: { name, role } }) => {
        const { token, tokenHash } = makeToken();
        await users.add({ name, role, tokenHash });
        return { status: 201, json: { name, role, token } };
      },
    }),
    route({
      method: 'DELETE',
      pattern: '/api/v1/users/{user}',
      summary: 'Deletes a user; its token is worth nothing at once.',
      params: schema.userParams,
      answers: { 204: { description: 'Deleted' } },
      handle: async ({ params }) => {
        const admins = users.list().filter(({ role }) => role === 'admin');
        if (admins.length === 1 && admins[0]!.name === params.user) {
          throw new StoreError('DENIED', `${params.user} is the last administrator`);
        }
        await users.delete(params.user);
        return { status: 204 };
      },
    }),
  ];
}

export function reportRoutes(context: FrontContext): Route[] {
  return [
    route({
      method: 'GET',
      pattern: '/api/v1/stats',
      summary: 'Logical, unique and stored bytes: of the system, a group, or a container.',
      query: schema.statisticsQuery,
      answers: { 200: { description: 'Statistics', content: schema.statistics } },
      handle: async ({ query: { group, container } }) => {
        if (group !== undefined && container !== undefined) {
          throw new StoreError('INVALID', 'stats of a group or of a container, not of both');
        }
        const scope = group !== undefined ? { group } : container !== undefined ? { container } : undefined;
        return { status: 200, json: await context.catalog.statistics(scope) };
      },
    }),
  ];
}
