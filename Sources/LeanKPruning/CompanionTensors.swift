import ByteIO
import LeanKCheckpoint
import LeanKModel
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

  /// Checks the weight of `projection`, which loses the rows `removed` (or has them zeroed), and all
  /// that shares its prefix; calls `slice` with each tensor that has to lose rows too, and which.
  func check(
    _ projection: HeadRows, removing removed: RangeSet<Int>, layout: PruningLayout,
    slice: (_ name: String, _ rows: RangeSet<Int>) -> Void
  ) throws(PruningError) {
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
      let suffix = String(name.dropFirst(prefix.count))
      if Self.isActivationScale(companion, suffix) { continue }
      guard
        let scale = WeightScale(
          companion, suffix: suffix, of: weight, block: source.scaleBlock)
      else { throw refusal(companion, "belongs to a projection that is to be sliced", layout) }
      // A scale of all rows, or of rows that stay as zeros, stays.
      guard layout == .rows, companion.shape.contains(where: { $0 != 1 }) else { continue }
      guard let own = removed.wholeBlocks(of: scale.rowsPerScale, in: weight.rows) else {
        throw refusal(
          companion, "scales blocks of \(scale.rowsPerScale) rows, some of which go only in part",
          layout)
      }
      slice(name, own)
    }
  }

  /// The scale of what goes into a projection; it has nothing to do with its rows.
  private static func isActivationScale(_ companion: TensorInfo, _ suffix: String) -> Bool {
    (suffix == "input_scale" || suffix == "activation_scale")
      && companion.shape.allSatisfy { $0 == 1 }
  }

  private func refusal(
    _ tensor: TensorInfo, _ reason: String, _ layout: PruningLayout
  ) -> PruningError {
    PruningError(
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
