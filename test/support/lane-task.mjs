/** What test lanes run instead of the addon: plain functions that show what crosses the message port. */
const verbs = {
  layout: () => ({ rowSize: 40 }),
  counters: code => ({ failure: { code, message: 'what the engine said' } }),
  readLog: (_engine, _from, out) => {
    out[0] = 7;
    return { value: { bytes: 1, next: 1 } };
  },
  appendLog: (_engine, entries) => ({ value: entries.buffer.byteLength }),
  /** Waits until the gate opens, then says so. */
  readRows: (_engine, _map, _offset, _length, gate) => {
    const word = new Int32Array(gate.buffer, 0, 1);
    Atomics.add(new Int32Array(gate.buffer, 4, 1), 0, 1);
    Atomics.wait(word, 0, 0);
    return { value: { rowCount: 0, skip: 0, covered: 0 } };
  },
};

export function call({ verb, parameters }) {
  const outcome = verbs[verb](...parameters);
  if (outcome.failure !== undefined) return outcome.failure;
  return 'value' in outcome ? outcome : { value: outcome };
}
