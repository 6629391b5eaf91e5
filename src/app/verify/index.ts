/** The verify room as the command line sees it. */
export { DEFECTS, type DefectKind } from './defects.ts';
export { type KafkaAccess, READER_NAMES, type ReaderName } from './readers/reader.ts';
export { formatVerifyReport, type VerifyReport, verifyExitCode } from './report.ts';
export { runVerify, VERIFY_DEFAULTS, type VerifyIo, type VerifyOptions } from './run.ts';
