import type { Output } from "../io/output.ts";

export type Resize = (size: { readonly height: number; readonly width: number }) => Promise<void>;

/** The terminal's size as [height, width], when there is a terminal. */
export function consoleSize(out: Output): [number, number] | undefined {
  const { height, width } = out.size();
  return height > 0 && width > 0 ? [height, width] : undefined;
}

/** Tells the process inside our terminal's size: now, and whenever it changes, until disposed. */
export function followSize(out: Output, resize: Resize): Disposable {
  const tell = (attempts: number): void => {
    const { height, width } = out.size();
    if (height === 0 && width === 0) return;
    resize({ height, width }).catch(() => {
      // The process may be starting still: a few more tries, as Docker does, then it keeps its size.
      if (attempts > 1) setTimeout(() => tell(attempts - 1), 20);
    });
  };
  const changed = () => tell(1);
  // Listened for first: between the two a change would be lost.
  process.on("SIGWINCH", changed);
  tell(5);
  return {
    [Symbol.dispose]: () => {
      process.off("SIGWINCH", changed);
    },
  };
}
