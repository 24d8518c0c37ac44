import ByteIO

/// Shapes of weights, plain or packed in a form that says how.
struct WeightShapes {
  let shapes: [String: [Int]]
  private let quantised: QuantisedWeights?

  init(_ shapes: [String: [Int]], _ configuration: ModelConfiguration) throws(ModelError) {
    self.shapes = shapes
    quantised = try QuantisedWeights(of: configuration)
  }

  /// Whether a weight of this name is there, in whatever form.
  func contains(_ name: String) -> Bool {
    [".weight", ".qweight", ".weight_packed"].contains { shapes[name + $0] != nil }
  }

  /// Which of `candidates`, [rows, columns], the weight `name` has; nil where it is not there. Fails,
  /// naming the tensor, where it has none of them.
  func match(
    _ name: String, _ candidates: [[Int]], _ reason: String
  ) throws(ModelError) -> Int? {
    let forms: [(suffix: String, packed: ([Int]) -> [Int]?)] = [
      (".weight", { $0 }), (".qweight", packedShape(.columnsFirst)),
      (".weight_packed", packedShape(.rowsFirst)),
    ]
    for (suffix, packed) in forms {
      guard let found = shapes[name + suffix] else { continue }
      if let index = candidates.firstIndex(where: { packed($0) == found }) { return index }
      let wanted = candidates.compactMap(packed)
      guard let first = wanted.first else {
        throw ModelError(
          .unsupportedModel,
          "tensor \(quoted(name + suffix)) is packed, and quantization \(quoted(method)) does not say "
            + "how its shape is to be read")
      }
      let others = wanted.dropFirst().map { " or \($0)" }.joined()
      let hint = quantised == nil ? "" : "; the weights are quantised as \(quoted(method))"
      throw ModelError(
        .inconsistent,
        "tensor \(quoted(name + suffix)): expected shape \(first)\(others) by \(reason), found \(found)"
          + hint)
    }
    return nil
  }

  private var method: String { quantised?.method ?? "unnamed" }

  private enum Order {
    /// GPTQ and AWQ: [columns, rows].
    case columnsFirst
    /// compressed-tensors: [rows, columns].
    case rowsFirst
  }

  /// From a weight's shape to that of its packed form, nil where the form is not known.
  private func packedShape(_ order: Order) -> ([Int]) -> [Int]? {
    guard let packing = quantised?.packing else { return { _ in nil } }
    return { shape in
      let (rows, columns) = (shape[0], shape[1])
      switch (packing, order) {
      case (.columns(let bits, let word), .columnsFirst):
        return Self.words(columns, bits, word).map { [$0, rows] }
      case (.rows(let bits, let word), .columnsFirst):
        return Self.words(rows, bits, word).map { [columns, $0] }
      case (.columns(let bits, let word), .rowsFirst):
        return Self.words(columns, bits, word).map { [rows, $0] }
      default: return nil
      }
    }
  }

  /// Words of `word` bits that hold `count` numbers of `bits`, nil where some would be left over.
  private static func words(_ count: Int, _ bits: Int, _ word: Int) -> Int? {
    (count * bits).isMultiple(of: word) ? count * bits / word : nil
  }
}
