import LeanKMask
import LeanKModel
import Testing

@testable import LeanKDecoder

/// Passes of several contexts: what comes out of one does not depend on the others.
@Suite struct ContextPassTests {
  /// So few queries that products of one sequence and of several go different ways.
  @Test(arguments: ["gpt_oss", "llama_gqa", "mixtral", "qwen3_moe"], [true, false])
  func aSequenceIsTheSameAloneAndAmongOthers(name: String, densePrompt: Bool) throws {
    let fixture = try ReferenceModel(name)
    let tokens = try fixture.tokens("input_ids")
    let store = WeightStore(fixture.model)
    let compute = ComputeContext(threads: 2)
    let contexts = [tokens, tokens.reversed(), Array(tokens.dropLast(5))].map {
      ContextPass.Context(tokens: $0, queries: 3)
    }
    func run(_ contexts: [ContextPass.Context]) throws -> (hidden: [Matrix], [Prediction]) {
      var pass = try ContextPass(
        store, contexts, forms: [.dense], policy: AttentionPolicy(), densePrompt: densePrompt,
        compute)
      let last = try pass.run()[0].map { $0.rows($0.rows - 3..<$0.rows) }
      let following = [Int32](repeating: 1, count: 3 * contexts.count)
      return (last, try store.predictions([last], following: following, compute)[0])
    }
    let together = try run(contexts)
    for (index, context) in contexts.enumerated() {
      let alone = try run([context])
      #expect(alone.hidden[0] == together.hidden[index])
      #expect(alone.1 == Array(together.1[index * 3..<index * 3 + 3]))
    }
  }
}
