/** A web stream of what a generator yields, asked for one by one. `ReadableStream.from` would do, but the DOM's types do not know it. */
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
