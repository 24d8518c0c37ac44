import LeanKModel
import Testing

@testable import LeanKDecoder

/// What a forward pass keeps for a backward pass: the same output, and values from which the output can
/// be made again.
@Suite struct LayerRecordTests {
  @Test(arguments: ["llama_gqa", "gpt_neox", "gemma2", "starcoder2", "mixtral", "cohere"])
  func recordsMakeTheOutputAgain(name: String) throws {
    let fixture = try ReferenceModel(name)
    let tokens = try fixture.tokens("input_ids")
    let compute = ComputeContext(threads: 2)
    let store = WeightStore(fixture.model, residentLimit: 1 << 30)
    var session = try DecodingSession(store, .reference(nil), length: tokens.count)
    var plain = try DecodingSession(store, .reference(nil), length: tokens.count)
    let pass = try session.begin(tokens, prompt: tokens.count)
    let tables = session.rotaryTables(pass)
    var x = try store.embed(tokens)
    for index in fixture.model.description.layers.indices {
      let weights = try store.layer(index)
      var record: LayerRecord? = LayerRecord()
      let (hidden, attention) = try session.apply(
        layer: index, weights, to: x, pass, tables[index], compute, record: &record)
      #expect(
        try plain.apply(layer: index, weights, to: x, pass, tables[index], compute).hidden == hidden
      )
      let kept = try #require(record)
      #expect(kept.input == x)
      let block = weights.block
      #expect(kept.attentionInput == block.attentionNorm?.forward(x, compute) ?? x)
      let output = weights.attention.output.forward(try #require(kept.attended), compute)
      #expect(block.attentionOutputNorm?.forward(output, compute) ?? output == attention)
      let middle = try #require(kept.middle)
      let input = try #require(kept.feedForwardInput)
      #expect(block.feedForwardNorm?.forward(middle, compute) ?? middle == input)
      switch weights.feedForward {
      case .gated(let gated):
        #expect(kept.gate == gated.gate.forward(input, compute))
        #expect(kept.up == gated.up.forward(input, compute))
      case .plain(let plain):
        #expect(kept.gate == plain.up.forward(input, compute) && kept.up == nil)
      case .mixture: #expect(kept.gate == nil && kept.up == nil)
      }
      x = hidden
    }
  }
}
