import LeanKLearn
import Testing

struct ContextSampleTests {
  @Test func aSampleKnowsWhatItPredicts() {
    let sample = ContextSample(tokens: [5, 6, 7, 8, 9], queries: 2, answer: 1)
    #expect(Array(sample.context) == [5, 6, 7, 8])
    #expect(Array(sample.targets) == [8, 9])
  }
}
