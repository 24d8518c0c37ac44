public import ByteIO
import LeanKModel

/// What a pass over contexts keeps so that derivatives can be carried back through all layers: what
/// entered each, and the keys and values that its queries saw.
///
/// The tokens before the queries are constants, and so are the weights. The forward pass of a layer is
/// computed again before its backward pass.
public struct ContextRecord {
  private let store: WeightStore
  private let compute: ComputeContext
  private let form: ContextForm
  private let layerCount: Int
  /// What entered a layer and what its queries saw, by layer and sequence.
  private var layers: [[(stream: Matrix, call: ContextLayer.Queries)]]

  /// Rows of derivatives that go back through a layer's products at once, unless one has more.
  private static let rows = 2048

  init(_ store: WeightStore, _ form: ContextForm, _ compute: ComputeContext) {
    self.store = store
    self.compute = compute
    self.form = form
    layerCount = store.model.description.layers.count
    layers = Array(repeating: [], count: layerCount)
  }

  mutating func keep(_ layer: Int, _ stream: Matrix, _ call: ContextLayer.Queries) {
    layers[layer].append((stream, call))
  }

  /// Derivatives that came back through all layers.
  public struct Gradients: Sendable {
    /// By the factors on the channels of keys that are seen through a mask, summed over the queries of
    /// a sequence: by layer, copy and sequence, [KV heads * head_dim].
    public internal(set) var factors: [[[[Float]]]]
    /// By what enters the first layer at the queries, by sequence, [copies * queries, hidden].
    public internal(set) var inputs: [Matrix]
  }

  /// Carries derivatives by the hidden states after the final norm back through all layers. Several go
  /// together: `gradient` has for each sequence [copies * queries, hidden], one copy below the other.
  /// Weights are read once, the last layer's first. `progress` hears of every layer.
  public func backward(
    _ gradient: [Matrix], copies: Int = 1,
    progress: (_ done: Int, _ total: Int) throws(DecoderError) -> Void = {
      _, _ throws(DecoderError) in
    }
  ) throws(DecoderError) -> Gradients {
    precondition(copies >= 1)
    var result = Gradients(factors: Array(repeating: [], count: layerCount), inputs: gradient)
    for index in (0..<layerCount).reversed() {
      let layer = ContextLayer(
        index: index, description: store.model.description.layers[index],
        weights: try store.layer(index, before: index - 1), compute: compute)
      var factors = Array(repeating: [[Float]](), count: copies)
      for (sequence, (stream, call)) in layers[index].enumerated() {
        let (output, record) = try layer.record(stream, call, form)
        let rows = stream.rows
        for some in (0..<copies).blocks(of: max(1, Self.rows / max(1, rows))) {
          let part = some.lowerBound * rows..<some.upperBound * rows
          var gradient = result.inputs[sequence].rows(part)
          if index == layerCount - 1 {
            gradient = try store.finishBackward(gradient, input: output, compute)
          }
          let found = try layer.backward(gradient, call, form, record)
          for (number, copy) in some.enumerated() { factors[copy].append(found.factors[number]) }
          result.inputs[sequence].replace(rowsFrom: part.lowerBound, with: found.input)
        }
      }
      result.factors[index] = factors
      try progress(layerCount - index, layerCount)
    }
    store.endPass()
    return result
  }
}

extension ContextPass {
  /// Runs the pass and keeps what it takes to carry derivatives back through the queries of one form.
  ///
  /// Memory holds that form's keys and values of all layers.
  public mutating func record(
    form: Int,
    progress: (_ done: Int, _ total: Int) throws(DecoderError) -> Void = {
      _, _ throws(DecoderError) in
    }
  ) throws(DecoderError) -> (hidden: [[Matrix]], record: ContextRecord) {
    var record = ContextRecord(store, forms[form], compute)
    let hidden = try run(
      visiting: form, progress: progress,
      visit: { layer, stream, call throws(DecoderError) in
        record.keep(layer.index, stream, call)
      }, layerDone: { _ throws(DecoderError) in })
    return (hidden, record)
  }
}
