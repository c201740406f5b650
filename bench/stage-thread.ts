/**
 * The thread of the stage benches: verbs of the addon may block, so they are not called on the main thread.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { runStages, type StageParameters } from './stages.js';

await runStages(workerData as StageParameters, result => parentPort?.postMessage(result));
