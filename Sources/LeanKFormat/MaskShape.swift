import ByteIO
import LeanKMask

/// The geometry section: one record of 20 bytes a layer.
struct MaskShape: Sendable {
  static let recordSize = 20

  let layers: [LayerGeometry]
  /// Channels of all heads of all layers.
  let channels: Int

  /// No layers yet.
  init() {
    layers = []
    channels = 0
  }

  init(of mask: ChannelMask) {
    layers = mask.layers.map(\.geometry)
    channels = mask.channels
  }

  /// Reads the records; the number of bytes is known to be a multiple of theirs.
  init(parsing bytes: Span<UInt8>, limits: FormatLimits) throws(FormatError) {
    var layers: [LayerGeometry] = []
    layers.reserveCapacity(bytes.count / Self.recordSize)
    var heads = 0
    var channels = 0
    for index in 0..<bytes.count / Self.recordSize {
      let layer = try Self.layer(index, in: bytes, limits: limits)
      layers.append(layer)
      heads += layer.kvHeads
      channels += layer.channels
      guard heads <= limits.heads else {
        throw FormatError(.limit, "GEOM: more than \(limits.heads) KV heads in all")
      }
      guard channels <= limits.channels else {
        throw FormatError(.limit, "GEOM: more than \(limits.channels) channels in all")
      }
    }
    self.layers = layers
    self.channels = channels
  }

  private static func layer(
    _ index: Int, in bytes: Span<UInt8>, limits: FormatLimits
  ) throws(FormatError) -> LayerGeometry {
    let start = index * recordSize
    func field(_ name: String, at offset: Int, limit: Int) throws(FormatError) -> Int {
      let value: UInt32 = bytes.littleEndian(at: start + offset)
      guard value <= UInt32(limit) else {
        throw FormatError(
          .limit, "GEOM: \(name) of layer \(index) is \(value), the limit is \(limit)")
      }
      return Int(value)
    }
    let kvHeads = try field("kv_heads", at: 0, limit: limits.kvHeads)
    let headDim = try field("head_dim", at: 4, limit: limits.headDim)
    let queryHeads = try field("query_heads", at: 8, limit: limits.queryHeads)
    let width = try field("rotary_width", at: 12, limit: limits.headDim)
    let isKnown = bytes[start + 16]
    let pairing = bytes[start + 17]
    guard isKnown <= 1, pairing <= 2 else {
      throw FormatError(
        .unknownValue,
        "GEOM: attention_known \(isKnown) and pairing \(pairing) of layer \(index): known are 0 to "
          + "1 and 0 to 2")
    }
    guard bytes.littleEndian(at: start + 18) as UInt16 == 0 else {
      throw FormatError(.reserved, "GEOM: reserved bytes of layer \(index) are not zero")
    }
    do throws(MaskError) {
      guard isKnown == 1 else {
        guard queryHeads == 0, width == 0, pairing == 0 else {
          throw MaskError(
            .geometry, "query_heads, rotary_width or pairing without attention_known")
        }
        return try LayerGeometry(kvHeads: kvHeads, headDim: headDim)
      }
      guard (pairing == 0) == (width == 0) else {
        throw MaskError(.rotaryWidth, "pairing \(pairing) with rotary_width \(width)")
      }
      let rotary = try RotaryGeometry(width: width, pairing: pairing == 2 ? .interleaved : .half)
      return try LayerGeometry(
        kvHeads: kvHeads, headDim: headDim,
        attention: AttentionGeometry(queryHeads: queryHeads, rotary: rotary))
    } catch {
      throw FormatError(.geometry, "GEOM: layer \(index): \(error.description)")
    }
  }

  /// Numbers beyond 32 bits become the largest, which is above every limit.
  func encoded() -> [UInt8] {
    var writer = ByteWriter()
    for layer in layers {
      writer.append(UInt32(clamping: layer.kvHeads))
      writer.append(UInt32(clamping: layer.headDim))
      writer.append(UInt32(clamping: layer.attention?.queryHeads ?? 0))
      let rotary = layer.attention?.rotary ?? .none
      writer.append(UInt32(clamping: rotary.width))
      writer.append(UInt8(layer.attention == nil ? 0 : 1))
      writer.append(UInt8(rotary.width == 0 ? 0 : rotary.pairing == .half ? 1 : 2))
      writer.append(UInt16(0))
    }
    return writer.bytes
  }
}

extension SectionEntry {
  /// Fails when `raw_length` cannot be that of the section, before anything of it is allocated.
  /// `shape` is that of the geometry, which stands in front of every other section.
  func checkLength(shape: MaskShape, limits: FormatLimits) throws(FormatError) {
    let allowed: ClosedRange<Int>
    switch tag {
    case .geometry:
      guard rawLength > 0, rawLength.isMultiple(of: MaskShape.recordSize) else {
        throw FormatError(
          .sectionLength,
          "section GEOM: raw_length \(rawLength) is not a positive multiple of "
            + "\(MaskShape.recordSize)")
      }
      guard rawLength / MaskShape.recordSize <= limits.layers else {
        throw FormatError(
          .limit,
          "section GEOM: \(rawLength / MaskShape.recordSize) layers, the limit is \(limits.layers)")
      }
      return
    case .mask:
      let length = (shape.channels + 7) / 8
      allowed = length...length
    case .alignment: allowed = AlignmentSection.size...AlignmentSection.size
    case .scores:
      let channels = shape.channels
      guard channels <= limits.scoredChannels else {
        throw FormatError(
          .limit,
          "section SCOR: a mask of \(channels) channels, the limit with scores is "
            + "\(limits.scoredChannels)")
      }
      allowed = ScoresSection.lengths(channels: channels)
    case .deployment: allowed = DeploymentSection.size...DeploymentSection.size
    case .provenance:
      guard rawLength <= limits.provenanceBytes else {
        throw FormatError(
          .limit,
          "section PROV: raw_length \(rawLength), the limit is \(limits.provenanceBytes)")
      }
      allowed = 4...limits.provenanceBytes
    default: return
    }
    guard allowed.contains(rawLength) else {
      let expected =
        allowed.count == 1
        ? "\(allowed.lowerBound)" : "\(allowed.lowerBound) to \(allowed.upperBound)"
      throw FormatError(
        .sectionLength, "section \(tag): raw_length \(rawLength), expected \(expected)")
    }
  }
}
