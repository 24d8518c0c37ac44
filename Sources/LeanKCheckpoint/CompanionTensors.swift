import ByteIO
import TensorFiles

/// Finds the tensors that lie beside a projection's weight and bias, such as the scales of a
/// quantised weight. What nobody knows how to slice would be silently wrong, so it is refused.
struct CompanionTensors {
  private let source: CheckpointDirectory
  /// In byte order, so that those with one prefix are neighbours.
  private let names: [String]
  /// Rows and columns that share a scale where scales are fine-grained.
  private let block: (rows: Int, columns: Int)?

  init(of source: CheckpointDirectory) throws(CheckpointError) {
    self.source = source
    block = try QuantisedWeights(of: source.configuration)?.block
    names = source.tensorNames.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
  }

  /// Checks the weight of `projection`, which loses the rows `removed` (or has them zeroed), and all
  /// that shares its prefix; calls `slice` with each tensor that has to lose rows too, and which.
  func check(
    _ projection: HeadRows, removing removed: RowRanges, layout: PruningLayout,
    slice: (_ name: String, _ rows: RowRanges) -> Void
  ) throws(CheckpointError) {
    guard let weight = source.tensor(projection.weight)?.info else { return }
    guard weight.scalar.byteWidth != nil else {
      throw refusal(weight, "packs several elements into a byte", layout)
    }
    guard projection.weight.hasSuffix(".weight") else { return }
    let prefix = String(projection.weight.dropLast("weight".count))
    var position = firstIndex(from: prefix)
    while position < names.count, names[position].hasPrefix(prefix) {
      let name = names[position]
      position += 1
      guard name != projection.weight, name != projection.bias,
        let companion = source.tensor(name)?.info
      else { continue }
      switch role(of: companion, suffix: String(name.dropFirst(prefix.count)), weight) {
      case .wholeTensor: break
      case .perRow: if layout == .rows { slice(name, removed) }
      case .perBlock(let rows):
        guard layout == .rows else { break }
        guard let blocks = removed.wholeBlocks(of: rows, in: weight.rows) else {
          throw refusal(
            companion,
            "scales blocks of \(rows) rows, of which the mask removes a part",
            layout)
        }
        slice(name, blocks)
      case .unknown:
        throw refusal(companion, "belongs to a projection that is to be sliced", layout)
      }
    }
  }

  private enum Role {
    case wholeTensor, perRow, unknown
    case perBlock(rows: Int)
  }

  /// The scales of FP8 and INT8 weights that compressed-tensors, DeepSeek's form and vLLM write.
  private func role(
    of companion: TensorInfo, suffix: String, _ weight: TensorInfo
  ) -> Role {
    guard [.f8e4m3, .f8e5m2, .i8].contains(weight.scalar) else { return .unknown }
    let isScalar = companion.shape.allSatisfy { $0 == 1 }
    let isPerRow = companion.shape == [weight.rows] || companion.shape == [weight.rows, 1]
    switch suffix {
    case "input_scale", "activation_scale": return isScalar ? .wholeTensor : .unknown
    case "weight_scale" where isScalar, "weight_scale_inv" where isScalar: return .wholeTensor
    case "weight_scale" where isPerRow: return .perRow
    case "weight_scale", "weight_scale_inv":
      guard let block, let columns = weight.shape.last,
        companion.shape == [
          Self.blocks(weight.rows, of: block.rows), Self.blocks(columns, of: block.columns),
        ]
      else { return .unknown }
      return .perBlock(rows: block.rows)
    default: return .unknown
    }
  }

  private static func blocks(_ count: Int, of size: Int) -> Int {
    count / size + (count.isMultiple(of: size) ? 0 : 1)
  }

  private func refusal(
    _ tensor: TensorInfo, _ reason: String, _ layout: PruningLayout
  ) -> CheckpointError {
    CheckpointError(
      .companionTensor,
      "tensor \(quoted(tensor.name)) of type \(tensor.scalar.rawValue) and shape \(tensor.shape) "
        + "\(reason), and layout \(layout.rawValue) does not know how: use --layout cache",
      in: source.path)
  }

  /// Index of the first name that is not before `prefix`.
  private func firstIndex(from prefix: String) -> Int {
    var low = 0
    var high = names.count
    while low < high {
      let middle = (low + high) / 2
      if names[middle].utf8.lexicographicallyPrecedes(prefix.utf8) {
        low = middle + 1
      } else {
        high = middle
      }
    }
    return low
  }
}
