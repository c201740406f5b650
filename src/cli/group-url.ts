/** Addresses of storage groups in the API. */
export const GROUPS = '/api/v1/groups';

export function groupUrl(name: string): string {
  return `${GROUPS}/${encodeURIComponent(name)}`;
}
