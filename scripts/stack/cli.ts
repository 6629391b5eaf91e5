/** What the commands beside this file share: where lines go, and how a failure ends. */

/** Progress goes to stderr: stdout belongs to whatever is run on the stack. */
export function report(line: string): void {
  process.stderr.write(`stack: ${line}\n`);
}

/** Runs a command to its end; a failure is one message without a stack trace, and exit code 1. */
export async function main(run: () => Promise<number>): Promise<void> {
  try {
    process.exitCode = await run();
  } catch (error) {
    report(error instanceof Error ? error.message : String(error));
    process.exitCode = 1;
  }
}
