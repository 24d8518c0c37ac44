import ByteIO
import TensorFiles

/// Finds the tensors that lie beside a projection's weight and bias, such as the scales of a
/// quantised weight. What nobody knows how to slice would be silently wrong, so it is refused.
struct CompanionTensors {
  private let source: CheckpointDirectory
  /// In byte order, so that those with one prefix are neighbours.
  private let names: [String]

  init(of source: CheckpointDirectory) {
    self.source = source
    names = source.tensorNames.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
  }

  /// Checks the weight of `projection` and all that shares its prefix; calls `perRow` with each tensor
  /// that has to lose the same rows as the weight.
  func check(
    _ projection: HeadRows, layout: PruningLayout, perRow: (String) -> Void
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
      switch Self.role(of: companion, suffix: String(name.dropFirst(prefix.count)), weight) {
      case .wholeTensor: break
      case .perRow: if layout == .rows { perRow(name) }
      case .unknown:
        throw refusal(companion, "belongs to a projection that is to be sliced", layout)
      }
    }
  }

  private enum Role { case wholeTensor, perRow, unknown }

  /// The scales of FP8 weights that compressed-tensors and vLLM write.
  private static func role(
    of companion: TensorInfo, suffix: String, _ weight: TensorInfo
  ) -> Role {
    guard weight.scalar == .f8e4m3 || weight.scalar == .f8e5m2 else { return .unknown }
    let isScalar = companion.shape.allSatisfy { $0 == 1 }
    switch suffix {
    case "input_scale": return isScalar ? .wholeTensor : .unknown
    case "weight_scale":
      if isScalar { return .wholeTensor }
      let isPerRow = companion.shape == [weight.rows] || companion.shape == [weight.rows, 1]
      return isPerRow ? .perRow : .unknown
    default: return .unknown
    }
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
