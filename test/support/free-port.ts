/** A TCP port on the loopback interface that nobody listens on. */
export { freePort, freePorts } from '../../scripts/stack/ports.ts';
