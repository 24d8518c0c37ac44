import LeanKDecoder
import LeanKMask
import TensorFiles
import TestSupport
import Testing

/// Conversations of several prompts against logits of transformers with the rule of `Spec/semantics.md`
/// over whole keys in float64 (`Generators/make_conversations.py`).
@Suite struct ConversationTests {
  @Test(
    arguments: ["llama_gqa", "gemma2", "qwen2_window"], ["long_first", "one_token", "short_first"])
  func agreeWithTransformers(name: String, plan: String) throws {
    let fixture = try ReferenceModel(name)
    let file = try SafetensorsFile(path: Fixtures.path("Conversations/\(name).safetensors"))
    let tokens = try ReferenceModel.tokens(file, "input_ids")
    let turns = try ReferenceModel.tokens(file, "\(plan).turns").map { Int($0) }
    let expected = try ReferenceModel.matrix(file, "\(plan).logits")
    let window = try AttentionWindow(sink: 4, recent: 8, accumulate: 4)
    let compute = ComputeContext(threads: 2)
    for form in [
      AttentionForm.reference(fixture.mask), .cached(fixture.mask),
      .cached(fixture.mask, order: .ascending),
    ] {
      var session = try DecodingSession(
        WeightStore(fixture.model, residentLimit: 1 << 30), form,
        policy: AttentionPolicy(.windowed(window)), length: tokens.count)
      var logits: [Float] = []
      for turn in stride(from: 0, to: turns.count, by: 2) {
        let (start, stop) = (turns[turn], turns[turn + 1])
        let end = turn + 2 < turns.count ? turns[turn + 2] : tokens.count
        let hidden = try session.forward(
          Array(tokens[start..<end]), prompt: stop - start, compute)
        logits += try session.logits(hidden, compute).values
      }
      let found = Matrix(rows: tokens.count, columns: expected.columns, values: logits)
      #expect(found.largestDifference(from: expected) <= ReferenceModel.tolerance(name), "\(form)")
    }
  }
}
