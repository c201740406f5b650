/**
 * What loopback itself costs: a sender on a thread of its own, a receiver here, so that the process's CPU
 * time is that of both ends. The receiver reads into a buffer of its own, as an HTTP server does that copies
 * each byte once.
 */
import { connect } from 'node:net';
import { Worker } from 'node:worker_threads';
import type { StageBench } from './harness.js';

const PIECE_SIZE = 512 * 1024;

/** Sends so many bytes of its memory to whoever connects; tells the port. */
const SENDER_SCRIPT = `
const { parentPort, workerData } = require('node:worker_threads');
const { createServer } = require('node:net');
const server = createServer(socket => {
  let left = workerData.size;
  const next = () => {
    if (left <= 0) return socket.end();
    const piece = workerData.piece.subarray(0, Math.min(left, workerData.piece.length));
    left -= piece.length;
    socket.write(piece, next);
  };
  next();
});
server.listen(0, '127.0.0.1', () => parentPort.postMessage(server.address().port));
`;

interface Sender {
  readonly worker: Worker;
  readonly port: number;
}

function startSender(size: number, piece: Uint8Array): Promise<Sender> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(SENDER_SCRIPT, { eval: true, workerData: { size, piece } });
    worker.unref();
    worker.once('message', (port: number) => resolve({ worker, port }));
    worker.once('error', reject);
  });
}

/** Connects, takes everything, resolves with the count of bytes. */
function receiveAll(port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    let received = 0;
    const callback = (size: number) => {
      received += size;
      return true;
    };
    const socket = connect({
      host: '127.0.0.1',
      port,
      onread: { buffer: Buffer.allocUnsafeSlow(PIECE_SIZE), callback },
    });
    socket.on('error', reject);
    socket.on('close', () => resolve(received));
  });
}

export interface LoopbackBench {
  readonly bench: StageBench;
  close(): Promise<void>;
}

export async function loopbackBench(sample: Uint8Array): Promise<LoopbackBench> {
  const sender = await startSender(sample.length, new Uint8Array(sample.subarray(0, PIECE_SIZE)));
  let received = 0;
  return {
    bench: {
      name: 'loopback',
      parameters: { size: sample.length },
      bytes: sample.length,
      run: async () => {
        received = await receiveAll(sender.port);
      },
      hash: () => `complete ${received === sample.length}`,
    },
    close: async () => {
      await sender.worker.terminate();
    },
  };
}
