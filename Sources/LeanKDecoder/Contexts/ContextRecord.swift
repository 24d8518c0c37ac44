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
  /// By layer and group of sequences.
  private var layers: [[Group]]

  /// Sequences that go through a layer together.
  private struct Group {
    let stream: Matrix
    let calls: [ContextLayer.Queries]
  }

  /// Rows of derivatives that go back through a layer's products at once, unless one has more.
  private static let rows = 2048

  init(_ store: WeightStore, _ form: ContextForm, _ compute: ComputeContext) {
    self.store = store
    self.compute = compute
    self.form = form
    layerCount = store.model.description.layers.count
    layers = Array(repeating: [], count: layerCount)
  }

  mutating func keep(_ layer: Int, _ stream: Matrix, _ calls: [ContextLayer.Queries]) {
    layers[layer].append(Group(stream: stream, calls: calls))
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
      var first = 0
      for group in layers[index] {
        let (output, record) = try layer.record(group.stream, group.calls, form)
        let sequences = first..<first + group.calls.count
        first = sequences.upperBound
        let step = max(1, Self.rows / max(1, group.stream.rows))
        for some in (0..<copies).blocks(of: step) {
          var gradient = join(result.inputs, sequences, some, of: copies)
          if index == layerCount - 1 {
            gradient = try store.finishBackward(gradient, input: output, compute)
          }
          let found = try layer.backward(gradient, group.calls, form, record)
          for (number, copy) in some.enumerated() { factors[copy] += found.factors[number] }
          split(found.input, into: &result.inputs, group.calls, first: sequences.lowerBound, some)
        }
      }
      result.factors[index] = factors
      try progress(layerCount - index, layerCount)
    }
    store.endPass()
    return result
  }

  /// Some copies of a group's sequences, a copy after another: [copies * rows, hidden].
  private func join(
    _ gradient: [Matrix], _ sequences: Range<Int>, _ some: Range<Int>, of copies: Int
  ) -> Matrix {
    Matrix(
      joining: some.flatMap { copy in
        sequences.map { sequence in
          let rows = gradient[sequence].rows / copies
          return gradient[sequence].rows(copy * rows..<(copy + 1) * rows)
        }
      })
  }

  private func split(
    _ joined: Matrix, into gradient: inout [Matrix], _ calls: [ContextLayer.Queries], first: Int,
    _ some: Range<Int>
  ) {
    var row = 0
    for copy in some {
      for (number, call) in calls.enumerated() {
        let rows = call.part.rows.count
        gradient[first + number].replace(
          rowsFrom: copy * rows, with: joined.rows(row..<row + rows))
        row += rows
      }
    }
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
      visit: { layer, stream, calls throws(DecoderError) in
        record.keep(layer.index, stream, calls)
      }, layerDone: { _ throws(DecoderError) in })
    return (hidden, record)
  }
}
