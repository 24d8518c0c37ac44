package import TensorFiles

/// The tensor of scales of a quantised weight: an element of the weight times the scale of its block
/// is the number meant.
public struct WeightScale: Sendable, Hashable {
  /// Name of the tensor of scales, [ceil(rows / rowsPerScale), ceil(columns / columnsPerScale)].
  public let name: String
  public let rowsPerScale: Int
  public let columnsPerScale: Int

  /// The scale of `weight` that `companion` is, nil where it is none that is known: the whole
  /// tensor's, one a row, or one a `block`, as compressed-tensors, DeepSeek and vLLM write them.
  package init?(
    _ companion: TensorInfo, suffix: String, of weight: TensorInfo,
    block: (rows: Int, columns: Int)?
  ) {
    guard [.f8e4m3, .f8e5m2, .i8].contains(weight.scalar), weight.shape.count == 2,
      suffix == "weight_scale" || suffix == "weight_scale_inv"
    else { return nil }
    let (rows, columns) = (weight.shape[0], weight.shape[1])
    name = companion.name
    if companion.shape.allSatisfy({ $0 == 1 }) {
      (rowsPerScale, columnsPerScale) = (max(rows, 1), max(columns, 1))
    } else if suffix == "weight_scale", companion.shape == [rows] || companion.shape == [rows, 1] {
      (rowsPerScale, columnsPerScale) = (1, max(columns, 1))
    } else if let block,
      companion.shape == [Self.blocks(rows, block.rows), Self.blocks(columns, block.columns)]
    {
      (rowsPerScale, columnsPerScale) = (block.rows, block.columns)
    } else {
      return nil
    }
  }

  private static func blocks(_ count: Int, _ size: Int) -> Int {
    count / size + (count.isMultiple(of: size) ? 0 : 1)
  }
}

extension CheckpointDirectory {
  /// The scales of the weight called `name`; nil where it has none, or is more than its elements
  /// times them (zero points, packing).
  public func scale(ofWeight name: String) -> WeightScale? {
    guard name.hasSuffix(".weight"), let weight = tensor(name)?.info,
      weight.scalar.byteWidth == 1
    else { return nil }
    let prefix = String(name.dropLast("weight".count))
    guard tensor(prefix + "weight_zero_point") == nil else { return nil }
    for suffix in ["weight_scale", "weight_scale_inv"] {
      guard let companion = tensor(prefix + suffix)?.info else { continue }
      return WeightScale(companion, suffix: suffix, of: weight, block: scaleBlock)
    }
    return nil
  }
}
