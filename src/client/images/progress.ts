/** One line of a pull, push, load, import or build stream. */
export interface ProgressMessage {
  readonly stream?: string;
  readonly status?: string;
  readonly id?: string;
  readonly progress?: string;
  readonly progressDetail?: {
    readonly current?: number;
    readonly total?: number;
    readonly start?: number;
    readonly units?: string;
    readonly hidecounts?: boolean;
  };
  readonly error?: string;
  readonly errorDetail?: { readonly code?: number; readonly message?: string };
  readonly aux?: unknown;
}
