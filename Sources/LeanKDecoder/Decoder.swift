public import ByteIO
import LeanKModel

/// Runs one or more sides in lockstep, layer by layer: all tokens go through a layer before the
/// next one, so that each weight is read once, and sides that share a model share the reading.
///
/// f32 arithmetic over f32, f16 and bf16 weights. A run is deterministic; it does not depend on the
/// number of threads.
public final class Decoder {
  private var runs: [SideRun]
  private let sides: [DecoderSide]
  private let promptLength: Int
  /// Tokens for whose number the rotations were made.
  private var length: Int
  /// Tokens that went through so far, by side.
  private var history: [[Int32]]
  private let groups: [Group]
  private let options: DecodeOptions
  private let multiply: MatrixMultiply
  private let layerCount: Int
  /// Tokens that went through so far.
  private var position = 0
  /// Logits of the last token, [1, vocabulary], by side.
  private var last: [Matrix] = []

  /// Sides with one model.
  private struct Group {
    let model: DecoderModel
    let weights: WeightStore
    let sides: [Int]
  }

  /// What a layer computed, side by side.
  public struct LayerState {
    public let layer: Int
    /// Residual stream after the layer, [tokens, hidden].
    public let hidden: [Matrix]
    /// The layer's attention before it joins the residual stream, [tokens, hidden].
    public let attention: [Matrix]
  }

  /// What a side gave.
  public struct Output {
    /// [tokens, vocabulary]
    public let logits: Matrix
    /// Elements of keys and values in the cache after the last token.
    public let cache: CacheSize
  }

  /// Prepares a run of `length` tokens, of which the first `promptLength` go in one pass.
  ///
  /// `length` also chooses the frequencies of rotations that depend on it (`dynamic`, `longrope`):
  /// all tokens are rotated as in one pass over the whole run. Fails when a mask does not fit its
  /// model.
  public init(
    _ sides: [DecoderSide], promptLength: Int, length: Int, options: DecodeOptions
  ) throws(DecoderError) {
    guard promptLength >= 1, promptLength <= length else {
      throw DecoderError(
        .promptLength, "a prompt of \(promptLength) tokens in a run of \(length)")
    }
    let layers = sides.map(\.model.description.layers.count)
    if let name = sides.lazy.compactMap(\.model.description.unknownActivation).first {
      throw DecoderError(
        .activation,
        "activation \(quoted(name)) is not computed; the weights convert all the same")
    }
    guard let layerCount = layers.first, layers.allSatisfy({ $0 == layerCount }) else {
      throw DecoderError(.geometry, "the sides of a run differ in their number of layers")
    }
    var groups: [Group] = []
    for (index, side) in sides.enumerated()
    where !sides[..<index].contains(where: { $0.model === side.model }) {
      groups.append(
        Group(
          model: side.model,
          weights: WeightStore(
            source: side.model.weights, residentLimit: options.residentWeights),
          sides: sides.indices.filter { sides[$0].model === side.model }))
    }
    runs = try Self.runs(sides, groups, promptLength, length: length, options)
    history = [[Int32]](repeating: [], count: sides.count)
    self.sides = sides
    self.promptLength = promptLength
    self.length = length
    self.groups = groups
    self.options = options
    self.layerCount = layerCount
    multiply = MatrixMultiply(threads: options.threads)
  }

  private static func runs(
    _ sides: [DecoderSide], _ groups: [Group], _ promptLength: Int, length: Int,
    _ options: DecodeOptions
  ) throws(DecoderError) -> [SideRun] {
    var runs: [SideRun] = []
    for side in sides {
      guard let group = groups.first(where: { $0.model === side.model }) else { continue }
      runs.append(
        try SideRun(
          side, weights: group.weights, options: options, promptLength: promptLength,
          length: length))
    }
    return runs
  }

  /// Takes the given tokens through all sides and returns each side's logits at every position.
  ///
  /// `onLayer` sees every layer's states before the next layer replaces them.
  public func decode(
    _ tokens: [Int32], onLayer: (LayerState) -> Void = { _ in }
  ) throws(DecoderError) -> [Output] {
    let logits = try forward(
      [[Int32]](repeating: tokens, count: runs.count), onLayer: onLayer)
    last = logits.map(\.lastRow)
    return zip(logits, runs).map { Output(logits: $0, cache: $1.cached) }
  }

  /// Lets each side continue `count` tokens of its own choice: the highest logit, ties to the lowest
  /// id, end-of-text like any other. Weights are read once a token, unless they may stay.
  ///
  /// Where a rotation changes with the number of tokens, all of them go through again, as if they had
  /// been given.
  public func greedy(
    count: Int, onLayer: (LayerState) -> Void = { _ in }
  ) throws(DecoderError) -> [[Int32]] {
    guard position > 0 else {
      throw DecoderError(.promptLength, "greedy decoding continues given tokens, none were given")
    }
    var chosen = [[Int32]](repeating: [], count: runs.count)
    for step in 0..<max(0, count) {
      let next = last.map { $0.argmax(row: 0) }
      for (side, token) in next.enumerated() { chosen[side].append(Int32(token)) }
      guard step + 1 < count else { continue }
      if rotationsChange(at: position + 1) {
        length = position + 1
        runs = try Self.runs(sides, groups, promptLength, length: length, options)
        let all = zip(history, next).map { $0 + [Int32($1)] }
        history = history.map { _ in [] }
        position = 0
        last = try forward(all, onLayer: onLayer).map(\.lastRow)
      } else {
        last = try forward(next.map { [Int32($0)] }, onLayer: onLayer)
      }
    }
    return chosen
  }

  /// Whether a run of `count` tokens rotates in another way than this one has done.
  private func rotationsChange(at count: Int) -> Bool {
    guard count > length else { return false }
    let rotations = Set(
      sides.flatMap { $0.model.description.layers.compactMap(\.attention.rotary) })
    return rotations.contains {
      RotaryFrequencies($0, length: count) != RotaryFrequencies($0, length: length)
    }
  }

  /// One pass of each side's tokens, equally many; returns logits by side.
  private func forward(
    _ tokens: [[Int32]], onLayer: (LayerState) -> Void
  ) throws(DecoderError) -> [Matrix] {
    var hidden: [Matrix] = []
    for (side, run) in runs.enumerated() { hidden.append(try run.embed(tokens[side])) }
    for layer in 0..<layerCount {
      var attention = hidden
      for group in groups {
        if layer + 1 < layerCount {
          group.weights.prefetch(group.model.description.layers[layer + 1])
        }
        for side in group.sides {
          attention[side] = try runs[side].apply(layer: layer, to: &hidden[side], from: position)
        }
        group.weights.endLayer()
      }
      onLayer(LayerState(layer: layer, hidden: hidden, attention: attention))
    }
    position += tokens.first?.count ?? 0
    for side in runs.indices { history[side] += tokens[side] }
    for (side, run) in runs.enumerated() { hidden[side] = try run.finish(hidden[side]) }
    var logits = hidden
    for group in groups {
      let outputs = try head(group, group.sides.map { hidden[$0] })
      for (side, output) in zip(group.sides, outputs) {
        logits[side] = output
        runs[side].shape(logits: &logits[side])
      }
      group.weights.endLayer()
    }
    return logits
  }

  /// Bytes of the output projection that are in memory at a time.
  private static let headBlock = 64 << 20

  /// The output projection for all sides of a model, in blocks of rows.
  private func head(_ group: Group, _ inputs: [Matrix]) throws(DecoderError) -> [Matrix] {
    let model = group.model.description
    let (allRows, columns) = try group.weights.extent(of: model.outputHead.weight)
    let rows = model.outputHead.rows ?? 0..<allRows
    guard rows.upperBound <= allRows, columns == model.hiddenSize,
      rows.count == model.vocabularySize
    else {
      throw DecoderError(
        .tensorShape,
        "tensor \(quoted(model.outputHead.weight)) is [\(rows.count), \(columns)] where "
          + "[\(model.vocabularySize), \(model.hiddenSize)] is needed")
    }
    let bias = try group.weights.bias(model.outputHead.bias, model.outputHead.rows)
    var results = inputs.map { Matrix(rows: $0.rows, columns: rows.count) }
    let step = max(1, Self.headBlock / max(1, columns * 4))
    for first in stride(from: rows.lowerBound, to: rows.upperBound, by: step) {
      let range = first..<min(first + step, rows.upperBound)
      let block = try group.weights.matrix(model.outputHead.weight, rows: range)
      for (index, input) in inputs.enumerated() {
        let part = multiply.product(input, block, rows: [0..<range.count])
        results[index].replace(columnsFrom: first - rows.lowerBound, with: part)
      }
      group.weights.endLayer()
    }
    if let bias {
      guard bias.count == rows.count else {
        throw DecoderError(
          .tensorShape, "the output bias has \(bias.count) elements, the vocabulary \(rows.count)")
      }
      for index in results.indices { results[index].add(bias: bias) }
    }
    return results
  }
}

extension Matrix {
  /// Column of a row's largest element, the lowest of equals.
  public func argmax(row: Int) -> Int {
    let elements = self.row(row)
    var best = elements.startIndex
    for index in elements.indices where elements[index] > elements[best] { best = index }
    return best - elements.startIndex
  }

  /// The last row as a matrix of one, empty where there is none.
  var lastRow: Matrix {
    guard rows > 0 else { return self }
    return Matrix(rows: 1, columns: columns, values: Array(row(rows - 1)))
  }

  /// Copies `part`'s columns to those from `column` on.
  mutating func replace(columnsFrom column: Int, with part: Matrix) {
    precondition(part.rows == rows && column + part.columns <= columns)
    for row in 0..<rows {
      let first = row * columns + column
      values.replaceSubrange(first..<first + part.columns, with: part.row(row))
    }
  }
}
