export type { HeldCommit, MemoryFaults, Operation } from './faults.ts';
export { createMemoryLog, type MemoryLog, type MemoryLogOptions } from './memory-log.ts';
export { VirtualClock } from './virtual-clock.ts';
