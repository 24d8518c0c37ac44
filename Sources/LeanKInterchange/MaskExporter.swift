public import ByteIO
public import LeanKMask
import TensorFiles

/// Writes masks and scores for other programs. Whatever is written, `MaskImporter` reads back equal;
/// what a format cannot hold is refused with the reason.
public enum MaskExporter {
  /// What goes into the file.
  public enum Part: String, Sendable, Hashable, CaseIterable {
    case mask, scores, both
  }

  /// `part` of `document` in `format`.
  ///
  /// A mask is BOOL, in .pth F32 as LeanK's runtime reads it, in .tsv 0 and 1; scores keep their
  /// type. Layers of one shape make one tensor [layers, kv_heads, head_dim]; npz and safetensors
  /// hold others layer by layer, those without a K cache of heads with the shape [0, 0]. Fails with
  /// `.unwritable`.
  public static func bytes(
    of document: MaskDocument, _ part: Part, as format: InterchangeFormat
  ) throws(InterchangeError) -> [UInt8] {
    let mask = part == .scores ? nil : document.mask
    let scores = part == .mask ? nil : document.scores
    guard scores != nil || part == .mask else {
      throw InterchangeError(.unwritable, "the mask has no scores")
    }
    guard part != .both || format.holdsBoth else {
      throw InterchangeError(
        .unwritable,
        "a .\(format.rawValue) file holds mask or scores: choose one, or .npz, .safetensors or .json"
      )
    }
    let layers = document.mask.layers.map(\.geometry)
    switch format {
    case .json: return try MaskJSON.write(layers: layers, mask: mask, scores: scores)
    case .safetensors:
      let metadata = scores.map { [MaskImporter.kindKey: $0.kind] } ?? [:]
      return SafetensorsBytes.write(tensors(layers, mask, scores), metadata: metadata)
    case .npz:
      let named = tensors(layers, mask, scores)
      return try wrapping { () throws(TensorFileError) in try NpzWriter.bytes(of: named) }
    case .npy:
      let array = try whole(layers, mask, as: .bool, scores, format)
      return try wrapping { () throws(TensorFileError) in try NpyWriter.bytes(of: array) }
    case .pth:
      let array = try whole(layers, mask, as: .f32, scores, format)
      return try wrapping { () throws(TensorFileError) in try PthWriter.bytes(of: array) }
    case .tsv:
      let table = try table(layers, mask, scores)
      return try wrapping { () throws(TensorFileError) in try TsvWriter.bytes(of: table) }
    }
  }

  private static func wrapping(
    _ write: () throws(TensorFileError) -> [UInt8]
  ) throws(InterchangeError) -> [UInt8] {
    do throws(TensorFileError) {
      return try write()
    } catch {
      throw InterchangeError(error)
    }
  }

  /// Mask and scores under the names that `MaskImporter` knows.
  private static func tensors(
    _ layers: [LayerGeometry], _ mask: ChannelMask?, _ scores: ImportanceScores?
  ) -> [NamedTensor] {
    var result: [NamedTensor] = []
    if isUniform(layers) {
      if let mask { result.append(named("mask", cube(layers), .bool, bits(of: mask, as: .bool))) }
      if let scores {
        result.append(named("scores", cube(layers), scalar(scores), bytes(of: scores, scores.bits)))
      }
      return result
    }
    if let mask {
      for (index, layer) in mask.layers.enumerated() {
        let data = layer.heads.flatMap { bits(of: $0, as: .bool) }
        result.append(named("layers.\(index).mask", plane(layer.geometry), .bool, data))
      }
    }
    if let scores {
      var start = 0
      for (index, layer) in layers.enumerated() {
        let data = bytes(of: scores, scores.bits[start..<start + layer.channels])
        result.append(named("layers.\(index).scores", plane(layer), scalar(scores), data))
        start += layer.channels
      }
    }
    return result
  }

  private static func named(
    _ name: String, _ shape: [Int], _ scalar: ScalarType, _ bytes: [UInt8]
  ) -> NamedTensor {
    NamedTensor(name: name, array: TensorArray(scalar: scalar, shape: shape, bytes: bytes))
  }

  /// The one array of a .npy or .pth file, [layers, kv_heads, head_dim].
  private static func whole(
    _ layers: [LayerGeometry], _ mask: ChannelMask?, as maskScalar: ScalarType,
    _ scores: ImportanceScores?, _ format: InterchangeFormat
  ) throws(InterchangeError) -> TensorArray {
    guard isUniform(layers) else {
      throw InterchangeError(
        .unwritable,
        "the layers differ in KV heads or head_dim, and a .\(format.rawValue) file holds one array: use "
          + ".npz, .safetensors or .json")
    }
    if let scores {
      return TensorArray(
        scalar: scalar(scores), shape: cube(layers), bytes: bytes(of: scores, scores.bits))
    }
    return TensorArray(
      scalar: maskScalar, shape: cube(layers),
      bytes: mask.map { bits(of: $0, as: maskScalar) } ?? [])
  }

  /// A table of one row a layer.
  private static func table(
    _ layers: [LayerGeometry], _ mask: ChannelMask?, _ scores: ImportanceScores?
  ) throws(InterchangeError) -> TensorArray {
    let columns = layers.first?.channels ?? 0
    guard layers.allSatisfy({ $0.channels == columns }) else {
      throw InterchangeError(
        .unwritable, "the layers differ in channels, and all rows of a table have the same columns")
    }
    let shape = [layers.count, columns]
    guard let scores else {
      return TensorArray(
        scalar: .f64, shape: shape, bytes: mask.map { bits(of: $0, as: .f64) } ?? [])
    }
    guard scores.scalar == .f32, scores.kind == ImportanceScores.alphaKind else {
      throw InterchangeError(
        .unwritable,
        "a table holds F32 scores of the kind \(ImportanceScores.alphaKind), these are "
          + "\(scores.scalar.rawValue) of \(quoted(scores.kind))")
    }
    var data = ByteWriter()
    for value in scores.values { data.append(Double(value).bitPattern) }
    return TensorArray(scalar: .f64, shape: shape, bytes: data.bytes)
  }

  private static func isUniform(_ layers: [LayerGeometry]) -> Bool {
    layers.allSatisfy {
      $0.kvHeads == layers.first?.kvHeads && $0.headDim == layers.first?.headDim
    }
  }

  private static func plane(_ layer: LayerGeometry) -> [Int] { [layer.kvHeads, layer.headDim] }

  private static func cube(_ layers: [LayerGeometry]) -> [Int] {
    [layers.count] + (layers.first.map(plane) ?? [0, 0])
  }

  private static func scalar(_ scores: ImportanceScores) -> ScalarType {
    switch scores.scalar {
    case .f32: .f32
    case .f16: .f16
    case .bf16: .bf16
    }
  }

  private static func bytes(
    of scores: ImportanceScores, _ patterns: some Sequence<UInt32>
  ) -> [UInt8] {
    var writer = ByteWriter()
    for pattern in patterns {
      if scores.scalar == .f32 {
        writer.append(pattern)
      } else {
        writer.append(UInt16(truncatingIfNeeded: pattern))
      }
    }
    return writer.bytes
  }

  private static func bits(of mask: ChannelMask, as scalar: ScalarType) -> [UInt8] {
    mask.layers.flatMap { $0.heads.flatMap { bits(of: $0, as: scalar) } }
  }

  /// Each channel as 0 or 1.
  private static func bits(of head: ChannelSet, as scalar: ScalarType) -> [UInt8] {
    var writer = ByteWriter()
    for channel in 0..<head.width {
      switch scalar {
      case .f32: writer.append(Float(head[channel] ? 1 : 0).bitPattern)
      case .f64: writer.append(Double(head[channel] ? 1 : 0).bitPattern)
      default: writer.append(UInt8(head[channel] ? 1 : 0))
      }
    }
    return writer.bytes
  }
}
