/**
 * A web stream of the chunks of an iterable, which are taken one by one. `ReadableStream.from` does the same, but the
 * types of the DOM do not have it.
 */
export function streamFrom<Chunk>(source: Iterable<Chunk> | AsyncIterable<Chunk>): ReadableStream<Chunk> {
  const chunks = (async function* (): AsyncGenerator<Chunk> {
    yield* source;
  })();
  return new ReadableStream<Chunk>({
    async pull(controller) {
      const { done, value } = await chunks.next();
      if (done) controller.close();
      else controller.enqueue(value);
    },
    async cancel() {
      await chunks.return(undefined);
    },
  }, { highWaterMark: 0 });
}
